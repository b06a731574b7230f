import type { Thresholds } from "../../ipc/wire";

export type ThresholdKey = keyof Thresholds;

/** Points that neighbours stay apart; as in the core. */
export const GAP = 5;
export const LEAST = 1;
export const MOST = 100;

/** The thresholds on each scale, the lowest first. */
export const VRAM_KEYS = ["optimal_vram_percent", "stressed_vram_percent", "overload_vram_percent"] as const;
export const GPU_KEYS = ["optimal_gpu_percent", "stressed_gpu_percent"] as const;

/** How far the threshold at `index` may go among its neighbours. */
export function room(values: readonly number[], index: number): { least: number; most: number } {
  const below = values[index - 1];
  const above = values[index + 1];
  return {
    // The ends leave room for the neighbours beyond them.
    least: below === undefined ? LEAST : below + GAP,
    most: above === undefined ? MOST : above - GAP,
  };
}

/** What a slider asks for, kept within the rules; `held`: a neighbour was in the way. */
export function moved(before: readonly number[], wanted: readonly number[]): { values: number[]; held: boolean } {
  const values = [...before];
  let held = false;
  wanted.forEach((value, index) => {
    if (value === before[index]) return;
    const { least, most } = room(values, index);
    values[index] = Math.min(most, Math.max(least, value));
    held ||= values[index] !== value;
  });
  return { values, held };
}
