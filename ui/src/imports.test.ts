import { expect, it } from "vitest";

const sources: Record<string, string> = import.meta.glob("./**/*.{ts,svelte}", { query: "?raw", import: "default", eager: true });
const IMPORT = /\b(?:from|import|import\()\s*"(\.[^"]+)"/g;

/** The files that a file names in its imports, types included. */
function importsOf(file: string): string[] {
  return [...(sources[file] ?? "").matchAll(IMPORT)].flatMap(([, name]) => {
    const path = `.${new URL(name ?? "", `file://${file.slice(1)}`).pathname}`;
    return [path, `${path}.ts`, `${path}/index.ts`].filter((candidate) => candidate in sources);
  });
}

/** The first circle that a walk along imports comes upon, as the files on it. */
function circle(file: string, way: readonly string[], done: Set<string>): string[] | null {
  if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
  if (done.has(file)) return null;
  for (const next of importsOf(file)) {
    const found = circle(next, [...way, file], done);
    if (found) return found;
  }
  done.add(file);
  return null;
}

it("no file imports itself by way of others", () => {
  const done = new Set<string>();
  expect(importsOf("./App.svelte")).toContain("./pages/Chat.svelte");
  expect(importsOf("./stores/index.ts")).toContain("./stores/model.svelte.ts");
  for (const file of Object.keys(sources)) expect(circle(file, [], done)).toBeNull();
});
