import { afterAll, beforeAll, test } from "vitest";
import type { Locator, Page } from "playwright-core";
import { type Gateway, expectAccessible, screenshot, serve, until, visit } from "./served";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await serve();
});
afterAll(() => gateway.stop());

const tab = (page: Page, name: string) => page.getByRole("tab", { name });
const answer = (page: Page) => page.locator(".result-window");
const run = (page: Page) => page.getByRole("button", { name: /^Execute query/ });

const shown = (element: Locator, timeout: number) =>
  element.waitFor({ timeout }).then(
    () => true,
    () => false,
  );

/** Open the tab, run it, and wait until the answer has `text`. */
async function runs(page: Page, name: string, text: string): Promise<void> {
  // GraphiQL's editors come a moment after its tabs, and learn what is in a tab a moment after they have shown it.
  await page.locator(".graphiql-query-editor .view-line").first().waitFor();
  await until(async () => {
    await tab(page, name).click();
    return shown(page.locator(".graphiql-query-editor").getByText(name, { exact: true }).first(), 500);
  });
  await until(async () => {
    await run(page).click();
    return shown(answer(page).getByText(text).first(), 1000);
  });
}

test("a subscription shows what happens after it began", async () => {
  const { page, close } = await visit(gateway.url);
  await runs(page, "Follow", '"SNAPSHOT"');
  const other = await visit(gateway.url);
  await runs(other.page, "Create", '"Order created."');
  await answer(page).getByText('"CHANGES"').first().waitFor();
  await other.close();
  await close();
});

test("a subscription asks as whoever the headers say, too", async () => {
  const { page, close } = await visit(gateway.url);
  await runs(page, "Follow", '"SNAPSHOT"');
  await page.getByRole("button", { name: "Headers" }).click();
  const headers = page.locator(".graphiql-editor-tool .graphiql-editor:visible");
  await until(async () => {
    await headers.click();
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.insertText('{ "x-development-identity": "customer:somebody-else" }');
    return shown(headers.getByText("x-development-identity").first(), 500);
  });
  // GraphiQL learns the headers a moment after it has shown them: until then it follows as before, and is stopped.
  await until(async () => {
    await page.getByRole("button", { name: /^(Execute|Stop) query/ }).click();
    return shown(answer(page).getByText('"FORBIDDEN"').first(), 1000);
  });
  await close();
});

for (const dark of [false, true]) {
  test(`the journey runs, ${dark ? "dark" : "light"}`, async () => {
    const { page, close } = await visit(gateway.url, { dark });
    await runs(page, "Create", '"Order created."');
    if (!dark) {
      await runs(page, "AddItem", '"Item added."');
      await runs(page, "Submit", '"Order submitted."');
      await runs(page, "Orders", '"customerOrders"');
      await runs(page, "Follow", '"SNAPSHOT"');
      await page.getByRole("button", { name: /^Stop query/ }).click();
      await runs(page, "Conflict", '"currentVersion"');
      await runs(page, "Replay", '"replayed"');
    }
    await page.getByRole("button", { name: "Show Documentation Explorer" }).click();
    await page.getByText("A GraphQL schema provides").or(page.getByText("Root Types")).first().waitFor();
    await screenshot(page, `playground-${dark ? "dark" : "light"}`);
    // The editor's own colours, and close buttons inside of tabs, are GraphiQL's.
    await expectAccessible(page, [".monaco-editor", ".graphiql-tabs"]);
    await close();
  });
}
