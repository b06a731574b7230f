import { describe, expect, it } from "vitest";
import { inRange, parseNumber } from "./number";

describe("a typed number", () => {
  it("may have a comma or the spaces of its language", () => {
    expect([parseNumber("1,5"), parseNumber(" 4 096 "), parseNumber("4\u202f096"), parseNumber(".5")]).toEqual([1.5, 4096, 4096, 0.5]);
  });

  it("is none where it is not one", () => {
    expect(["", "x", "1.2.3", "1e3", "--1", "12 s"].map(parseNumber)).toEqual(Array(6).fill(null));
  });

  it("is taken only in its range, and whole where it must be", () => {
    const range = { least: 1, most: 60, whole: true };
    expect(["0", "1", "60", "61", "2.5"].map((text) => inRange(text, range))).toEqual([null, 1, 60, null, null]);
    expect(inRange("2.5", { ...range, whole: false })).toBe(2.5);
  });
});
