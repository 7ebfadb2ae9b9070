import { afterAll, beforeAll, expect, test } from "vitest";
import type { Page, Route } from "playwright-core";
import { add, click, failure, line, newOrder, reached, rows } from "./desk";
import { type Gateway, serve, until, visit } from "./served";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await serve();
});
afterAll(() => gateway.stop());

let customers = 0;
const desk = () => `${gateway.url}/desk#/customers/traveller${++customers}`;
const quantity = (page: Page, title: string) => line(page, title).locator("input").inputValue();
const failed = (page: Page, text: string) => page.locator(".failure", { hasText: text });

/** Have commands, by their names, go where `to` lets them. */
const commands = (page: Page, to: (name: string, route: Route) => Promise<unknown>) =>
  page.route("**/graphql", (route) => {
    const name = /mutation (\w+)/.exec(route.request().postData() ?? "")?.[1];
    return name ? to(name, route) : route.continue();
  });

test("an order begun offline meets a conflict after a reload: nothing is lost, nothing done twice", async () => {
  const { page, context, close } = await visit(desk());
  await page.getByText("Live", { exact: true }).waitFor();
  let arrived = 0;
  await commands(page, async (name, route) => {
    if (name === "CreateOrder" && !arrived++) await route.fetch(); // it arrives; its answer does not, nor does more
    await route.abort();
  });
  await click(page, "New order");
  await until(async () => arrived > 0);
  await context.setOffline(true);
  await page.getByLabel("Paid by").selectOption("invoice");
  await add(page, "Desk lamp");
  await reached(page, "queued");
  const url = page.url();

  const other = await visit(url);
  await add(other.page, "Wall clock");
  await reached(other.page, "projected");

  await expect(page.reload()).rejects.toThrow("ERR_INTERNET_DISCONNECTED"); // the page itself comes from the gateway
  await context.setOffline(false);
  await page.goto(url);
  await line(page, "Desk lamp").waitFor();
  await line(page, "Wall clock").waitFor();
  await reached(page, "queued");
  expect(await page.getByLabel("Paid by").inputValue()).toBe("INVOICE");

  await page.unroute("**/graphql");
  for (const reload of [false, true, true]) {
    if (reload) await page.reload();
    await failed(page, "VERSION_CONFLICT").waitFor();
    expect(await failed(page, "VERSION_CONFLICT").innerText()).toContain("Wall clock: 1 added");
    await failed(page, "NOT_SENT").waitFor();
    expect(await failed(page, "NOT_SENT").innerText()).toContain("Add Desk lamp");
    await line(page, "Wall clock").waitFor();
    expect(await line(page, "Desk lamp").count()).toBe(0);
    expect(await page.getByLabel("Paid by").inputValue()).toBe("");
    expect(await rows(page).count()).toBe(1);
  }
  await failed(page, "VERSION_CONFLICT").getByRole("button", { name: "Do it anyway" }).click();
  await failed(page, "NOT_SENT").getByRole("button", { name: "Do it anyway" }).click();
  await reached(page, "projected");
  await until(async () => (await other.page.getByLabel("Paid by").inputValue()) === "INVOICE");
  await line(other.page, "Desk lamp").waitFor();

  await page.reload();
  await line(page, "Desk lamp").waitFor();
  expect(await quantity(page, "Desk lamp")).toBe("1");
  expect(await quantity(page, "Wall clock")).toBe("1");
  expect(await failure(page).count()).toBe(0);
  expect(await rows(page).count()).toBe(1);
  await other.close();
  await close();
});

test("an order that was begun offline and only then reloaded is there once", async () => {
  const { page, context, close } = await visit(desk());
  await page.getByText("Live", { exact: true }).waitFor();
  await context.setOffline(true);
  await click(page, "New order");
  await page.getByLabel("Paid by").selectOption("invoice");
  await add(page, "Desk lamp");
  const url = page.url();
  await expect(page.reload()).rejects.toThrow("ERR_INTERNET_DISCONNECTED");
  await context.setOffline(false);
  await page.goto(url);
  await line(page, "Desk lamp").waitFor();
  await reached(page, "projected");
  await page.reload();
  await line(page, "Desk lamp").waitFor();
  expect(await quantity(page, "Desk lamp")).toBe("1");
  expect(await page.getByLabel("Paid by").inputValue()).toBe("INVOICE");
  expect(await rows(page).count()).toBe(1);
  expect(await failure(page).count()).toBe(0);
  await close();
});

/** What the gateway says has happened to the order that a page shows. */
async function history(url: string): Promise<string[]> {
  const [, customer, uuid] = /customers\/([^/]+)\/(.+)$/.exec(url)!;
  const query = `{ order(id: "order:${customer}:${uuid}") { history(first: 100) { nodes { summary } } } }`;
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${gateway.url}/graphql`, {
    method: "POST",
    headers,
    body: JSON.stringify({ query }),
  });
  const { data } = (await answer.json()) as {
    data: { order: { history: { nodes: { summary: string }[] } } };
  };
  return data.order.history.nodes.map(({ summary }) => summary);
}

test.each(["", ", after a reload"])(
  "however many commands wait, all are sent in their order%s",
  async (reloaded) => {
    const { page, context, close } = await visit(desk());
    await newOrder(page);
    await add(page, "Desk lamp");
    await reached(page, "projected");
    await context.setOffline(true);
    // Quicker than any hand: several in a millisecond.
    await page.evaluate(() => {
      const buttons = document.querySelectorAll<HTMLButtonElement>(".catalogue button");
      for (let given = 0; given < 60; given++) buttons[given % buttons.length]!.click();
    });
    await reached(page, "queued");
    const url = page.url();
    const titles = (await page.locator(".catalogue button").allInnerTexts()).map((text) =>
      text.split("\n")[0]!.replace("+ ", ""),
    );
    if (reloaded) await expect(page.reload()).rejects.toThrow("ERR_INTERNET_DISCONNECTED");
    await context.setOffline(false);
    if (reloaded) await page.goto(url);
    await until(async () => (await history(url)).length === 62);
    // The first of an article is added to the order, and each other one to its line.
    const skus = await page.locator(".items tbody .muted").allInnerTexts();
    for (const [at, summary] of (await history(url)).slice(2).entries())
      expect(summary).toMatch(
        new RegExp(`(Added 1 x ${titles[at % 6]}|Quantity of ${skus[at % 6]} is now .+)$`),
      );
    await reached(page, "projected");
    expect(await quantity(page, "Desk lamp")).toBe("11");
    await close();
  },
);

test("what failed stays until it is dismissed", async () => {
  const { page, close } = await visit(desk());
  await newOrder(page);
  await click(page, "Submit order");
  await failed(page, "EMPTY_ORDER").waitFor();
  await page.reload();
  await failed(page, "EMPTY_ORDER").waitFor();
  await click(page, "Dismiss");
  await failure(page).waitFor({ state: "detached" });
  await page.reload();
  await rows(page).waitFor();
  expect(await failure(page).count()).toBe(0);
  await close();
});
