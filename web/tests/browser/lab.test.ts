import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Page } from "playwright-core";
import { add, click, failure, line, newOrder, reached, rows } from "./desk";
import { type Gateway, expectAccessible, screenshot, serve, until, visit } from "./served";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await serve({ GATEWAY_LAB: "1" });
});
afterAll(() => gateway.stop());
afterEach(async () => {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ projectorDelayS: 0, duplicates: 0, dropAfterS: 0, conflicts: 0 });
  expect((await fetch(`${gateway.url}/lab`, { method: "POST", headers, body })).status).toBe(200);
});

let customers = 0;
const desk = () => `${gateway.url}/desk#/customers/tester${++customers}`;

const openLab = (page: Page) => page.getByText("Lab", { exact: true }).click();
const happened = (page: Page, what: string) =>
  page.locator(".lab dl div", { hasText: what }).locator("dd").innerText().then(Number);

type Shown = { rows: number; version: number; stage: string; lamps: string | null; lampLines: number };

/** From now on note each thing that the page shows of the one order there is, however briefly. */
async function watch(page: Page): Promise<() => Promise<Shown[]>> {
  await page.evaluate(() => {
    const seen: unknown[] = [];
    const look = () => {
      const row = document.querySelector(".list .row")!;
      const lamps = document.querySelectorAll<HTMLInputElement>('.items input[aria-label$="Desk lamp"]');
      seen.push({
        rows: document.querySelectorAll(".list .row").length,
        version: Number(/ v(\d+)$/.exec(row.querySelector(".muted")!.textContent)![1]),
        stage: row.querySelector(".progress")!.classList.item(1),
        lamps: lamps[0]?.value ?? null,
        lampLines: lamps.length,
      });
    };
    look();
    new MutationObserver(look).observe(document.body, {
      subtree: true,
      childList: true,
      characterData: true,
      attributes: true,
    });
    Object.assign(window, { seen });
  });
  return () => page.evaluate(() => (window as unknown as { seen: Shown[] }).seen);
}

/** The values in the order in which they were shown, each once for as long as it stayed. */
const course = <T>(values: T[]) => values.filter((value, at) => at === 0 || value !== values[at - 1]);
const rising = (versions: number[]) => versions.every((one, at) => at === 0 || one >= versions[at - 1]!);

test("while the projector is slow a change stays, and stays marked", async () => {
  const { page, close } = await visit(desk());
  await newOrder(page);
  await openLab(page);
  await page.getByLabel("Slow the projector").selectOption("10 seconds a page");
  await until(async () => (await page.getByLabel("Slow the projector").inputValue()) === "10");
  const seen = await watch(page);
  await add(page, "Desk lamp");
  await reached(page, "confirmed");
  await until(async () => (await happened(page, "delayed")) > 0);
  await add(page, "Desk lamp");
  await until(
    async () => (await seen()).at(-1)!.stage === "confirmed" && (await seen()).at(-1)!.version === 3,
  );
  expect((await seen()).map(({ stage }) => stage).slice(1)).not.toContain("projected");
  await page.getByLabel("Slow the projector").selectOption("off");
  await reached(page, "projected");
  const shown = await seen();
  expect(course(shown.map(({ lamps }) => lamps))).toEqual([null, "1", "2"]);
  expect(course(shown.map(({ stage }) => stage)).filter((stage) => stage !== "queued")).toEqual([
    "projected",
    "sending",
    "confirmed",
    "sending",
    "confirmed",
    "projected",
  ]);
  expect(rising(shown.map(({ version }) => version))).toBe(true);
  await close();
});

test("what is delivered again, late or not, doubles nothing and takes nothing back", async () => {
  const { page, close } = await visit(desk());
  await newOrder(page);
  await openLab(page);
  await page.getByLabel("Deliver again").selectOption("after every frame");
  await until(async () => (await page.getByLabel("Deliver again").inputValue()) === "1");
  const seen = await watch(page);
  for (let lamps = 1; lamps <= 6; lamps++) {
    await add(page, "Desk lamp");
    await until(async () => (await line(page, "Desk lamp").locator("input").inputValue()) === `${lamps}`);
    await reached(page, "projected");
  }
  await until(async () => (await happened(page, "duplicated")) >= 6);
  await page.getByLabel("Deliver again").selectOption("off");
  const shown = await seen();
  expect(course(shown.map(({ lamps }) => lamps))).toEqual([null, "1", "2", "3", "4", "5", "6"]);
  expect(course(shown.map(({ version }) => version))).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(shown.every(({ rows, lampLines }) => rows === 1 && lampLines <= 1)).toBe(true);
  await close();
});

test("a socket that was dropped goes on behind the last cursor, and misses nothing", async () => {
  const lists: { after?: string }[] = [];
  const one = await visit(desk(), {
    prepare: async (page) =>
      page.on("websocket", (socket) =>
        socket.on("framesent", ({ payload }) => {
          if (String(payload).includes("customerOrdersUpdated")) {
            lists.push(JSON.parse(String(payload)).payload.variables);
          }
        }),
      ),
  });
  await newOrder(one.page);
  const two = await visit(one.page.url());
  await line(two.page, "Nothing in it yet").waitFor();
  await openLab(one.page);
  const seen = await watch(one.page);
  await click(one.page, "Drop all sockets now");
  await one.page.getByText("Reconnecting").waitFor();
  for (const title of ["Desk lamp", "Notebook", "Oak chair"]) await add(two.page, title);
  for (const title of ["Desk lamp", "Notebook", "Oak chair"]) await line(one.page, title).waitFor();
  await one.page.getByText("Live", { exact: true }).waitFor();
  await reached(two.page, "projected");
  await until(async () => (await happened(one.page, "dropped")) >= 2);
  expect(lists.map(({ after }) => after !== undefined)).toEqual([false, true]);
  expect(rising((await seen()).map(({ version }) => version))).toBe(true);
  await two.close();
  await one.close();
});

test("sockets that are dropped again and again end where all others do", async () => {
  const one = await visit(desk());
  await newOrder(one.page);
  const two = await visit(one.page.url());
  await line(two.page, "Nothing in it yet").waitFor();
  await openLab(one.page);
  await one.page.getByLabel("Drop sockets").selectOption("after 2 seconds or so");
  const seen = await watch(one.page);
  for (let dropped = 0; dropped < 5; dropped = await happened(one.page, "dropped")) {
    await add(two.page, "Desk lamp");
    await two.page.locator(".list .row .progress:is(.confirmed, .projected)").waitFor();
  }
  await one.page.getByLabel("Drop sockets").selectOption("off");
  const lamps = (page: Page) => line(page, "Desk lamp").locator("input").inputValue();
  await reached(two.page, "projected");
  await until(async () => (await lamps(one.page)) === (await lamps(two.page)));
  expect(rising((await seen()).map(({ version }) => version))).toBe(true);
  await two.close();
  await one.close();
});

test("a forced conflict is rolled back, says what changed, and can be decided again", async () => {
  const { page, close } = await visit(desk());
  await newOrder(page);
  await openLab(page);
  await page.getByLabel("Force conflicts").fill("1");
  await until(async () => (await page.getByLabel("Force conflicts").inputValue()) === "1");
  await click(page, "Cancel order");
  await failure(page).waitFor();
  expect(await failure(page).innerText()).toContain("VERSION_CONFLICT");
  expect(await failure(page).innerText()).toContain("Paid by card");
  await page.locator(".editor .status.draft").waitFor();
  expect(await page.getByLabel("Paid by").inputValue()).toBe("CARD");
  await until(async () => (await page.getByLabel("Force conflicts").inputValue()) === "0");
  await click(page, "Do it anyway");
  await page.locator(".list .status.cancelled").waitFor();
  await reached(page, "projected");
  expect(await failure(page).count()).toBe(0);
  expect(await rows(page).count()).toBe(1);
  await close();
});

for (const dark of [false, true]) {
  test(`the lab is used by keyboard, ${dark ? "dark" : "light"}`, async () => {
    const { page, close } = await visit(desk(), { dark });
    await newOrder(page);
    const focused = () =>
      page.evaluate(() => document.activeElement?.closest("label")?.firstChild?.textContent);
    await page.locator(".lab summary").focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Slow the projector");
    await page.keyboard.press("ArrowDown");
    await until(async () => (await page.getByLabel("Slow the projector").inputValue()) === "1");
    await page.keyboard.press("ArrowUp");
    await until(async () => (await page.getByLabel("Slow the projector").inputValue()) === "0");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Deliver again");
    await screenshot(page, `desk-lab-${dark ? "dark" : "light"}`);
    await expectAccessible(page);
    await close();
  });
}
