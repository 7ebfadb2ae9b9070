/** The real gateway, a real browser, and what both must hold to in every test. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type BrowserContext, type Page, chromium } from "playwright-core";
import { expect } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");
const SHOTS = join(ROOT, "build/screenshots");
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

export type Gateway = { url: string; stop(): Promise<void> };

/** `gateway serve` on a free port, with a store of its own, and with more in its environment. */
export async function serve(more: Record<string, string> = {}): Promise<Gateway> {
  const folder = mkdtempSync(join(tmpdir(), "desk-"));
  const command = process.env.GATEWAY_COMMAND ?? join(ROOT, ".venv/bin/gateway");
  const args = ["serve", "--port", "0", "--store", `sqlite:///${folder}/store.db`];
  const child = spawn(command, args, {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...more },
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const said: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    createInterface(child.stderr).on("line", (line) => {
      said.push(line);
      const address = /Serving (http:\S+) from/.exec(line)?.[1];
      if (address) resolve(address);
    });
    void ended.then(() => reject(new Error(`the gateway ended:\n${said.join("\n")}`)));
  });
  await until(async () => (await fetch(`${url}/readyz`).catch(() => null))?.ok);
  return {
    url,
    async stop() {
      child.kill("SIGTERM");
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

export type Visit = { page: Page; context: BrowserContext; close(): Promise<void> };

/** A new browser with nothing kept from before. Closing it fails if the page complained or asked another host. */
export async function visit(
  url: string,
  { dark = false, width = 1360, height = 860, prepare = async (_: Page): Promise<unknown> => undefined } = {},
): Promise<Visit> {
  const folder = mkdtempSync(join(tmpdir(), "browser-"));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
    viewport: { width, height },
  });
  const complaints: string[] = [];
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(15_000);
  page.on("console", (message) => {
    const expected = /net::ERR_INTERNET_DISCONNECTED|net::ERR_FAILED/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !expected) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  context.on("request", (request) => {
    const asked = new URL(request.url());
    if (asked.origin !== new URL(url).origin && !["data:", "blob:"].includes(asked.protocol)) {
      complaints.push(`asked ${asked.href}`);
    }
  });
  await prepare(page);
  await page.goto(url);
  return {
    page,
    context,
    async close() {
      await context.close();
      rmSync(folder, { recursive: true, force: true });
      expect(complaints).toEqual([]);
    },
  };
}

/** Fails with what axe takes for serious or critical. */
export async function expectAccessible(page: Page, exclude: string[] = []): Promise<void> {
  // A policy that forbids inline script would forbid a script element; evaluating goes past it.
  const { readFileSync } = await import("node:fs");
  await page.evaluate(readFileSync(AXE, "utf8"));
  const found = await page.evaluate(async (exclude) => {
    // @ts-expect-error: axe is there since a moment ago
    const { violations } = await window.axe.run({ exclude });
    return (violations as { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[])
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => ({ id, nodes: nodes.map((node) => `${node.html}\n${node.failureSummary}`) }));
  }, exclude);
  expect(found).toEqual([]);
}

export async function screenshot(page: Page, name: string): Promise<void> {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

/** Resolves once `condition` holds. */
export async function until(condition: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error("what was waited for did not come");
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
