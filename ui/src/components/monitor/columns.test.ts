import { describe, expect, it } from "vitest";
import { pastOf } from "../../test/panel";
import { columns, highest, runs } from "./columns";

describe("what a chart draws", () => {
  it("begins one reading before the time shown", () => {
    expect(columns(pastOf([1000, 2000, 3000, 4000]), 2500, 5000).seconds).toEqual([2, 3, 4]);
    expect(columns(pastOf([1000]), 2500, 5000).seconds).toEqual([]);
  });

  it("is broken where nothing was read", () => {
    const drawn = columns(pastOf([1000, 2000, 60_000], "balanced"), 0, 15_000);
    expect(drawn.seconds).toEqual([1, 2, 2.001, 60]);
    expect(drawn.used).toEqual([40, 40, null, 40]);
    expect(runs(drawn)).toEqual([
      { profile: "balanced", from: 1, to: 2.001 },
      { profile: "balanced", from: 60, to: 60 },
    ]);
  });

  it("shows each profile up to the next", () => {
    const past = { ...pastOf([1000, 2000, 3000]), profile: ["performance", "performance", "cpu_fallback"] as const };
    const drawn = columns({ ...past, profile: [...past.profile] }, 0, 15_000);
    expect(runs(drawn)).toEqual([
      { profile: "performance", from: 1, to: 3 },
      { profile: "cpu_fallback", from: 3, to: 3 },
    ]);
  });

  it("has a highest value where it has any", () => {
    expect([highest([null, 3, 9, 2]), highest([null])]).toEqual([9, null]);
  });
});
