import { afterAll, beforeAll, expect, test } from "vitest";
import type { Page, WebSocketRoute } from "playwright-core";
import { add, click, failure, holdCommands, line, newOrder, reached, rows } from "./desk";
import { type Gateway, expectAccessible, screenshot, serve, until, visit } from "./served";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await serve();
});
afterAll(() => gateway.stop());

let customers = 0;
/** A customer that no other test knows. */
const customer = () => `customer${++customers}`;
const desk = (customerId: string) => `${gateway.url}/desk#/customers/${customerId}`;

test("an item that is added is visible before the answer, then confirmed, then projected", async () => {
  const { page, close } = await visit(desk(customer()));
  await newOrder(page);
  expect(await page.locator(".lab").count()).toBe(0);
  const release = await holdCommands(page);
  await add(page, "Desk lamp");
  await line(page, "Desk lamp").waitFor();
  await reached(page, "sending");
  expect(await rows(page).first().innerText()).toContain("$19.90");
  release();
  await reached(page, "projected");
  expect(await page.locator(".list .row .progress").innerText()).toMatch(/Projected\s*\d+ ms \+ \d+ ms/);
  expect(await line(page, "Desk lamp").locator("input").inputValue()).toBe("1");
  await close();
});

test("how an order is paid shows at once, and in the other browser once it is known", async () => {
  const one = await visit(desk(customer()));
  await newOrder(one.page);
  const two = await visit(one.page.url());
  const chosen = (page: Page) => page.getByLabel("Paid by");
  await chosen(two.page).waitFor();
  const release = await holdCommands(one.page);
  await chosen(one.page).selectOption("invoice");
  await reached(one.page, "sending");
  expect(await chosen(one.page).inputValue()).toBe("INVOICE");
  release();
  await reached(one.page, "projected");
  await until(async () => (await chosen(two.page).inputValue()) === "INVOICE");
  await one.page.unroute("**/graphql");
  await one.context.setOffline(true);
  await chosen(one.page).selectOption("card");
  await reached(one.page, "queued");
  await chosen(two.page).selectOption("bank transfer");
  await reached(two.page, "projected");
  await one.context.setOffline(false);
  await failure(one.page).waitFor();
  expect(await failure(one.page).innerText()).toContain("Paid by bank transfer");
  expect(await chosen(one.page).inputValue()).toBe("TRANSFER");
  await two.close();
  await one.close();
});

test("two browsers see each other's changes", async () => {
  const id = customer();
  const one = await visit(desk(id));
  await newOrder(one.page);
  const two = await visit(one.page.url());
  await add(two.page, "Notebook");
  await line(one.page, "Notebook").waitFor();
  await click(one.page, /Remove Notebook/);
  await line(two.page, "Notebook").waitFor({ state: "detached" });
  await two.close();
  await one.close();
});

test("a rejected command is rolled back, and its reason is shown", async () => {
  const { page, close } = await visit(desk(customer()));
  await newOrder(page);
  const release = await holdCommands(page);
  await click(page, "Submit order");
  await page.locator(".editor .status.submitted").waitFor();
  release();
  await page.locator(".editor .status.draft").waitFor();
  expect(await failure(page).innerText()).toContain("EMPTY_ORDER");
  await click(page, "Dismiss");
  await failure(page).waitFor({ state: "detached" });
  await close();
});

test("a conflict is rolled back, says what changed, and can be decided again", async () => {
  const one = await visit(desk(customer()));
  await newOrder(one.page);
  await add(one.page, "Desk lamp");
  await reached(one.page, "projected");
  const two = await visit(one.page.url());
  await line(two.page, "Desk lamp").waitFor();
  await one.context.setOffline(true);
  await click(one.page, "Cancel order");
  await one.page.locator(".editor .status.cancelled").waitFor();
  await add(two.page, "Wall clock");
  await reached(two.page, "projected");
  await one.context.setOffline(false);
  await failure(one.page).waitFor();
  expect(await failure(one.page).innerText()).toContain("Wall clock: 1 added");
  await one.page.locator(".editor .status.draft").waitFor();
  await click(one.page, "Do it anyway");
  await two.page.locator(".editor .status.cancelled").waitFor();
  await two.close();
  await one.close();
});

test("the live list goes on behind its cursor after the socket is cut", async () => {
  const id = customer();
  const sockets: WebSocketRoute[] = [];
  const subscribed: string[] = [];
  const one = await visit(desk(id), {
    prepare: (page) =>
      page.routeWebSocket("**/graphql", (socket) => {
        sockets.push(socket);
        const server = socket.connectToServer();
        socket.onMessage((message) => {
          if (String(message).includes("customerOrdersUpdated")) subscribed.push(String(message));
          server.send(message);
        });
      }),
  });
  await newOrder(one.page);
  const two = await visit(one.page.url());
  await sockets[0]!.close({ code: 1012 });
  await add(two.page, "Oak chair");
  await line(one.page, "Oak chair").waitFor();
  expect(subscribed).toHaveLength(2);
  expect(JSON.parse(subscribed[0]!).payload.variables).not.toHaveProperty("after");
  expect(JSON.parse(subscribed[1]!).payload.variables.after).toBeTruthy();
  await two.close();
  await one.close();
});

test("commands given offline wait, and have one effect each", async () => {
  const { page, context, close } = await visit(desk(customer()));
  await newOrder(page);
  await context.setOffline(true);
  await add(page, "Desk lamp");
  await add(page, "Desk lamp");
  await reached(page, "queued");
  expect(await line(page, "Desk lamp").locator("input").inputValue()).toBe("2");
  await page.getByText("Offline").waitFor();
  await context.setOffline(false);
  await reached(page, "projected");
  expect(await line(page, "Desk lamp").locator("input").inputValue()).toBe("2");
  await close();
});

test("a command that waits outlives a reload", async () => {
  const { page, close } = await visit(desk(customer()));
  await newOrder(page);
  const isCommand = (body: string | null) => body?.includes("mutation ");
  await page.route("**/graphql", (route) =>
    isCommand(route.request().postData()) ? route.abort() : route.continue(),
  );
  await add(page, "Desk lamp");
  await reached(page, "queued");
  await page.reload();
  await line(page, "Desk lamp").waitFor();
  await page.unroute("**/graphql");
  await reached(page, "projected");
  expect(await line(page, "Desk lamp").locator("input").inputValue()).toBe("1");
  await close();
});

test("a command whose answer was lost is sent again and has one effect", async () => {
  const { page, close } = await visit(desk(customer()));
  await newOrder(page);
  let lost = 0;
  await page.route("**/graphql", async (route) => {
    if (!route.request().postData()?.includes("mutation ") || lost++) return route.continue();
    await route.fetch();
    await route.abort();
  });
  await add(page, "Desk lamp");
  await until(async () => lost > 1);
  await reached(page, "projected");
  expect(await line(page, "Desk lamp").locator("input").inputValue()).toBe("1");
  await close();
});

for (const dark of [false, true]) {
  const look = dark ? "dark" : "light";
  test(`an order goes its way from the customer to the staff, ${look}`, async () => {
    const id = dark ? "bob" : "alice";
    const { page, close } = await visit(desk(id), { dark });
    for (const titles of [
      ["Desk lamp"],
      ["Oak chair", "Notebook"],
      ["Copper kettle", "Wool blanket", "Notebook"],
    ]) {
      await click(page, "New order");
      for (const title of titles) await add(page, title);
    }
    const notebooks = page.getByLabel("Quantity of Notebook");
    await notebooks.fill("3");
    await notebooks.press("Enter");
    await page.getByText("Ships to").click();
    await page.getByLabel("Street and number").fill("1 Main Street");
    await page.getByLabel("Postal code").fill("10115");
    await page.getByLabel("City").fill("Berlin");
    await page.getByLabel("Country code").fill("DE");
    await click(page, "Set address");
    await until(async () => (await page.locator(".list .row .progress.projected").count()) === 3);
    await screenshot(page, `desk-${look}`);
    await expectAccessible(page);
    await click(page, "Submit order");
    await page.locator(".activity .progress.projected").first().waitFor();
    await page.locator(".list .row .status.submitted").waitFor();
    await rows(page).last().click();
    await click(page, "Submit order");
    await failure(page).waitFor();
    await screenshot(page, `desk-refused-${look}`);
    await expectAccessible(page);
    await click(page, "Dismiss");

    await page.getByRole("link", { name: "Staff" }).click();
    await click(page, /^Record payment/);
    await page.locator(".sales td", { hasText: "$" }).first().waitFor();
    await page.locator(".lane .progress.projected").waitFor();
    await screenshot(page, `staff-${look}`);
    await expectAccessible(page);
    await click(page, /^Ship/);
    await click(page, /^Deliver/);
    await page.getByRole("link", { name: "Customer" }).click();
    if (dark) await page.goto(desk(id));
    await page.locator(".list .status.delivered").waitFor();
    await close();
  });
}

test("it fits a telephone", async () => {
  const { page, close } = await visit(desk("alice"), { width: 390, height: 844 });
  await rows(page).first().click();
  await screenshot(page, "desk-narrow");
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
  await expectAccessible(page);
  await close();
});
