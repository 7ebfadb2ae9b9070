import { afterAll, beforeAll, expect, test } from "vitest";
import type { Page } from "playwright-core";
import { add, click, failure, holdCommands, line, newOrder, reached, rows } from "./desk";
import { type Gateway, serve, until, visit } from "./served";

/** What counts as good is 0.1 (https://web.dev/articles/cls); all shifts of a journey together stay below half of it. */
const LIMIT = 0.05;

let gateway: Gateway;
beforeAll(async () => {
  gateway = await serve();
});
afterAll(() => gateway.stop());

type Shift = { value: number; at: number; moved: string[] };

/** From the page's beginning on note what moves without a hand: not within half a second of a key or a click. */
const noteShifts = (page: Page) =>
  page.addInitScript(() => {
    const shifts: Shift[] = [];
    type Entry = PerformanceEntry & {
      value: number;
      hadRecentInput: boolean;
      sources: { node?: Node; previousRect: DOMRect; currentRect: DOMRect }[];
    };
    const told = (rect: DOMRect) => [rect.x, rect.y, rect.width, rect.height].map(Math.round).join(" ");
    const named = (node?: Node) =>
      node instanceof Element ? `${node.localName}.${node.className}` : node?.nodeName;
    new PerformanceObserver((list) => {
      for (const { value, hadRecentInput, startTime, sources } of list.getEntries() as Entry[]) {
        if (hadRecentInput) continue;
        const moved = sources.map(
          ({ node, previousRect, currentRect }) =>
            `${named(node)}: ${told(previousRect)} -> ${told(currentRect)}`,
        );
        shifts.push({ value, at: Math.round(startTime), moved });
      }
    }).observe({ type: "layout-shift", buffered: true });
    const used = () => (document.documentElement.dataset.used = String(performance.now()));
    for (const input of ["pointerdown", "keydown"]) addEventListener(input, used, true);
    Object.assign(window, { shifts });
  });

/** Wait until what moves from now on counts. */
const handsOff = (page: Page) =>
  until(() =>
    page.evaluate(() => performance.now() - Number(document.documentElement.dataset.used ?? 0) > 600),
  );

/** Fails if too much has moved, and says what. */
async function expectStill(page: Page, what: string): Promise<void> {
  await handsOff(page);
  const shifts = await page.evaluate(() => (window as unknown as { shifts: Shift[] }).shifts);
  const sum = shifts.reduce((sum, { value }) => sum + value, 0);
  console.log(`cumulative layout shift, ${what}: ${sum.toFixed(4)}`);
  if (process.env.SHIFTS) console.log(JSON.stringify(shifts, null, 1));
  expect(sum, JSON.stringify(shifts, null, 1)).toBeLessThan(LIMIT);
}

for (const [size, view] of Object.entries({
  wide: { width: 1360, height: 860 },
  narrow: { width: 390, height: 844 },
})) {
  test(`the desk keeps still, ${size}`, async () => {
    const before = await visit(`${gateway.url}/desk#/customers/${size}`);
    await newOrder(before.page);
    await click(before.page, "Cancel order");
    await reached(before.page, "projected");
    await newOrder(before.page);
    for (const title of ["Desk lamp", "Copper kettle"]) await add(before.page, title);
    await reached(before.page, "projected");
    const url = before.page.url();
    await before.close();

    const { page, close } = await visit(url, { ...view, prepare: noteShifts });
    await line(page, "Copper kettle").waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    await page.locator(".summary", { hasText: "1 draft, 1 cancelled" }).waitFor();
    await expectStill(page, `desk, loaded, ${size}`);

    const release = await holdCommands(page);
    await add(page, "Notebook");
    await reached(page, "sending");
    await handsOff(page);
    release();
    await reached(page, "projected");
    await page.unroute("**/graphql");
    await expectStill(page, `desk, an item confirmed, ${size}`);

    await page.route("**/graphql", async (route) => {
      const body = route.request().postData();
      if (!body?.includes("mutation ")) return route.continue();
      await handsOff(page);
      return route.continue({ postData: body.replace('"quantity":1', '"quantity":0') });
    });
    await add(page, "Wall clock");
    await line(page, "Wall clock").waitFor();
    await failure(page).waitFor();
    expect(await failure(page).innerText()).toContain("QUANTITY_OUT_OF_RANGE");
    expect(await line(page, "Wall clock").count()).toBe(0);
    await expectStill(page, `desk, an item rolled back, ${size}`);
    await click(page, "Submit order");
    await page.getByText("NO_SHIPPING_ADDRESS").waitFor();
    await page.locator(".editor .status.draft").waitFor();
    await expectStill(page, `desk, a status rolled back, ${size}`);
    expect(await rows(page).count()).toBe(2);
    await close();
  });

  test(`a list keeps still while it is loaded, ${size}`, async () => {
    const { page, close } = await visit(`${gateway.url}/desk#/customers/${size}`, {
      ...view,
      prepare: async (page) => {
        await noteShifts(page);
        await page.route("**/graphql", async (route) => {
          await until(() => page.evaluate(() => performance.now() > 1000));
          await route.continue();
        });
      },
    });
    await page.locator(".summary", { hasText: "1 draft, 1 cancelled" }).waitFor();
    await page.getByText("Choose an order").waitFor();
    expect(await rows(page).count()).toBe(2);
    await expectStill(page, `desk, nothing open, ${size}`);
    await close();
  });

  test(`the staff's view keeps still, ${size}`, async () => {
    const { page, close } = await visit(`${gateway.url}/desk#/staff`, { ...view, prepare: noteShifts });
    await page.getByText("Live", { exact: true }).waitFor();
    await expectStill(page, `staff, loaded, ${size}`);
    await close();
  });
}

test("the playground keeps still", async () => {
  const { page, close } = await visit(gateway.url, { prepare: noteShifts });
  await page.locator(".graphiql-query-editor .view-line").first().waitFor();
  await expectStill(page, "playground, loaded");
  await until(async () => {
    await page.getByRole("button", { name: /^Execute query/ }).click();
    const answered = page.locator(".result-window").getByText('"Order created."').first();
    return answered.waitFor({ timeout: 1000 }).then(
      () => true,
      () => false,
    );
  });
  await expectStill(page, "playground, answered");
  await close();
});
