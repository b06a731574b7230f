import { svelte } from "@sveltejs/vite-plugin-svelte";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Every web view Workly runs in reads woff2; the older formats of the formulas' fonts stay out of the bundle. */
const woff2Only: Plugin = {
  name: "woff2-only",
  enforce: "pre",
  transform: (code, id) =>
    id.includes("katex.min.css") ? code.replace(/,url\([^)]+\.(?:woff|ttf)\) format\("[a-z]+"\)/g, "") : undefined,
};

export default defineConfig(({ mode }) => ({
  plugins: [svelte(), woff2Only],
  // Relative, so that the same files work under tauri:// and under a plain web server.
  base: "./",
  // Tauri's own output shares the terminal.
  clearScreen: false,
  server: { host: "127.0.0.1", port: 5173, strictPort: true },
  build: {
    // The web views Workly runs in: WebKitGTK 2.44 or newer, WKWebView of macOS 14, WebView2.
    target: ["safari17.5", "chrome123"],
    // The content security policy allows files of our own and nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  // Components under test are the browser's, not the server's.
  ...(mode === "test" ? { resolve: { conditions: ["browser"] } } : {}),
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.ts"],
    setupFiles: ["src/test/setup.ts"],
    restoreMocks: true,
    // The gates run these beside a build of C++ that takes every core.
    testTimeout: 30_000,
  },
}));
