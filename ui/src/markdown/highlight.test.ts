import { describe, expect, it } from "vitest";
import { highlight } from "./highlight";

const program = Array.from({ length: 400 }, (_, n) => `def f${n}(x):\n    return x + ${n}\n`).join("\n");

function pieces(code: string, complete: boolean): string[] {
  return [...(highlight(code, "python", complete)?.children ?? [])]
    .filter((child) => child.className === "code-piece")
    .map((child) => child.textContent);
}

describe("colours for code", () => {
  it("lose no character of it, in one piece or in many", () => {
    for (const complete of [true, false]) {
      expect(highlight(program, "python", complete)?.textContent).toBe(program);
      expect(highlight("x = 1", "python", complete)?.textContent).toBe("x = 1");
    }
  });

  it("are given to short complete code as a whole", () => {
    expect(pieces(program.slice(0, 5_000), true)).toEqual([]);
  });

  it("come piece by piece while code grows, and the pieces stay", () => {
    const before = pieces(program.slice(0, 7_000), false);
    const after = pieces(program.slice(0, 7_100), false);
    expect(before.length).toBeGreaterThan(2);
    expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
    expect(before.slice(1).every((piece) => piece.startsWith("def "))).toBe(true);
  });

  it("come piece by piece even where no good place to cut is", () => {
    const lines = "x = [1, 2, 3]\n".repeat(600);
    expect(pieces(lines, false).every((piece) => piece.length < 3_100)).toBe(true);
  });

  it("are not for languages without a grammar", () => {
    expect(highlight("x", "klingon", true)).toBeNull();
  });
});
