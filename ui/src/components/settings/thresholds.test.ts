import { describe, expect, it } from "vitest";
import { moved, room } from "./thresholds";

describe("thresholds", () => {
  it("leave their neighbours five points", () => {
    expect(room([60, 75, 90], 0)).toEqual({ least: 1, most: 70 });
    expect(room([60, 75, 90], 1)).toEqual({ least: 65, most: 85 });
    expect(room([60, 75, 90], 2)).toEqual({ least: 80, most: 100 });
  });

  it("stop at their neighbours and say so", () => {
    expect(moved([60, 75, 90], [60, 95, 90])).toEqual({ values: [60, 85, 90], held: true });
    expect(moved([60, 75, 90], [60, 80, 90])).toEqual({ values: [60, 80, 90], held: false });
    expect(moved([60, 75, 90], [0, 75, 90])).toEqual({ values: [1, 75, 90], held: true });
  });
});
