import { beforeAll, describe, expect, it, vi } from "vitest";
import { formulas } from "./katex.svelte";
import { render } from "./render";

const labels = { copy: "Copy", copyCode: "Copy code", plainText: "text" };

function show(source: string, open = false): HTMLElement {
  const box = document.createElement("div");
  box.append(render({ source, definitions: {}, open }, labels));
  return box;
}

beforeAll(async () => {
  // The first formula fetches the typesetter.
  expect(show("$x$").querySelector("code")?.textContent).toBe("x");
  await vi.waitFor(() => expect(formulas.ready).toBe(true), { timeout: 20_000 });
});

describe("a formula", () => {
  it.each([
    ["so $x^2$ is", 0],
    ["so \\(x^2\\) is", 0],
    ["so $$x^2$$ is", 1],
    ["\\[x^2\\]", 1],
    ["$$\nx^2\n+ y\n$$", 1],
    ["- item\n\n  $$\n  x^2\n  $$", 1],
  ])("is drawn: %s", (source, blocks) => {
    const box = show(source);
    expect(box.querySelectorAll(".katex")).toHaveLength(1);
    expect(box.querySelectorAll(".formula-block")).toHaveLength(blocks);
    expect(box.querySelector("annotation")?.textContent).toContain("x^2");
  });

  it.each(["It costs $5 and $6.", "a \\$ sign $ and $ more", "`$x$` and `\\(x\\)`", "```\n$$x$$\n```", "$$ and nothing else"])(
    "is not seen in: %s",
    (source) => {
      expect(show(source).querySelectorAll(".katex")).toHaveLength(0);
    },
  );

  it("leaves Markdown inside it alone", () => {
    expect(show("$a_1 * b_2 * c$").querySelector("em")).toBeNull();
  });

  it("is drawn from exactly what was written", () => {
    const tex = "\\text{\\$& and \\$' and \\$1}";
    expect(show(`\\(${tex}`, true).querySelector("code")?.textContent).toBe(tex);
    expect(show("\\(\\text{\\$' and \\$1}\\)").querySelector("annotation")?.textContent).toBe("\\text{\\$' and \\$1}");
  });

  it("that makes no sense is shown as it was written", () => {
    const box = show("$\\frac{1$");
    expect(box.querySelector(".katex")).toBeNull();
    expect(box.textContent).toContain("\\frac{1");
  });

  it("that is still being written is shown as TeX", () => {
    for (const source of ["so \\(x^2 +", "so $$x^2 +", "\\[x^2 +", "$$\nx^2 +\n", "\\[x^2 +\\"]) {
      const box = show(source, true);
      expect(box.querySelector("code")?.textContent, source).toBe("x^2 +");
      expect(box.textContent).not.toMatch(/[\u{e002}$]/u);
    }
    expect(show("so \\(", true).textContent?.trim()).toBe("so");
  });

  it("loads nothing and leads nowhere", () => {
    const hostile = ["\\href{https://evil.example}{x}", "\\includegraphics{https://evil.example/x.png}", "\\htmlStyle{background:url(https://evil.example)}{x}", "\\url{https://evil.example}"];
    for (const tex of hostile) {
      const box = show(`$${tex}$`);
      expect(box.querySelector("[href], [src], img, [style*=url]"), tex).toBeNull();
    }
  });

  it("that grows without end is given up", () => {
    const box = show("$\\def\\a{xx}\\def\\b{\\a\\a\\a\\a\\a\\a\\a\\a}\\def\\c{\\b\\b\\b\\b\\b\\b\\b\\b}\\def\\d{\\c\\c\\c\\c\\c\\c\\c\\c}\\d\\d\\d$");
    expect(box.querySelector(".katex")).toBeNull();
  });
});
