import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const OUT = "../gateway/static";
const GATEWAY = process.env.GATEWAY ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "./",
  plugins: [react(), gzipped()],
  build: {
    outDir: OUT,
    emptyOutDir: true,
    // The largest is the code editor, which the playground alone loads; a test holds the desk to its limit.
    chunkSizeWarningLimit: 6000,
    // A data: URL would need a wider content security policy than a file of our own.
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: ["playground.html", "desk.html"],
      // "use no memo" in GraphiQL's files speaks to a compiler that ran before they were published.
      onLog: (level, log, next) => log.code !== "MODULE_LEVEL_DIRECTIVE" && next(level, log),
    },
  },
  worker: { format: "es" },
  server: { proxy: { "/graphql": { target: GATEWAY, ws: true }, "/lab": GATEWAY } },
  test: {
    projects: [
      { extends: true, test: { name: "unit", include: ["src/**/*.test.ts", "tests/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "browser",
          include: ["tests/browser/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: "clients",
          include: ["tests/clients/*.test.ts"],
          setupFiles: ["tests/clients/websocket.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});

/** Compressed once when built, so that the gateway has only to send it. */
function gzipped(): Plugin {
  return {
    name: "gzipped",
    apply: "build",
    writeBundle() {
      for (const name of readdirSync(join(OUT, "assets"))) {
        if (!/\.(js|css)$/.test(name)) continue;
        const path = join(OUT, "assets", name);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      }
    },
  };
}
