/** What the tests of the desk do in it, and look for. */
import type { Page } from "playwright-core";

export const click = (page: Page, name: string | RegExp) => page.getByRole("button", { name }).click();
export const add = (page: Page, title: string) =>
  page.locator(".catalogue button", { hasText: title }).click();
export const line = (page: Page, title: string) => page.locator(".items tbody tr", { hasText: title });
export const rows = (page: Page) => page.locator(".list .row");
export const failure = (page: Page) => page.locator(".failure");

/** Wait until the order's latest command has come as far as that. */
export const reached = (page: Page, stage: string) =>
  page.locator(`.list .row .progress.${stage}`).first().waitFor();

export async function newOrder(page: Page): Promise<void> {
  await click(page, "New order");
  await reached(page, "projected");
}

/** Keep answers to commands back until they are let go. */
export async function holdCommands(page: Page): Promise<() => void> {
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route("**/graphql", async (route) => {
    if (!route.request().postData()?.includes("mutation ")) return route.continue();
    const response = await route.fetch();
    await held;
    await route.fulfill({ response });
  });
  return release;
}
