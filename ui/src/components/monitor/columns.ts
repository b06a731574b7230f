import type { GpuPast, Profile } from "../../ipc/wire";

/** What a chart draws: times in seconds, values in percent, and nothing where nothing was read. */
export interface Columns {
  seconds: number[];
  used: (number | null)[];
  own: (number | null)[];
  busy: (number | null)[];
  profile: (Profile | null)[];
}

/** A past as columns, cut to a time and broken where nothing was read for longer than `gapMs`. */
export function columns(past: GpuPast, fromMs: number, gapMs: number): Columns {
  const drawn: Columns = { seconds: [], used: [], own: [], busy: [], profile: [] };
  let before: number | null = null;
  // One reading before the beginning, so that the curve enters from the edge.
  const first = past.unix_ms.findIndex((time) => time >= fromMs);
  if (first < 0) return drawn;
  for (let index = Math.max(0, first - 1); index < past.unix_ms.length; index += 1) {
    const time = past.unix_ms[index] ?? 0;
    if (before !== null && time - before > gapMs) push(drawn, before + 1, null, null, null, null);
    push(drawn, time, past.vram_percent[index] ?? null, past.own_percent[index] ?? null, past.gpu_percent[index] ?? null, past.profile[index] ?? null);
    before = time;
  }
  return drawn;
}

function push(to: Columns, ms: number, used: number | null, own: number | null, busy: number | null, profile: Profile | null): void {
  to.seconds.push(ms / 1000);
  to.used.push(used);
  to.own.push(own);
  to.busy.push(busy);
  to.profile.push(profile);
}

export interface Run {
  profile: Profile;
  from: number;
  to: number;
}

/** Times in the same profile, without a break, in seconds. */
export function runs(drawn: Columns): Run[] {
  const found: Run[] = [];
  drawn.seconds.forEach((time, index) => {
    const profile = drawn.profile[index] ?? null;
    const before = drawn.profile[index - 1] ?? null;
    const last = found.at(-1);
    // A profile lasts until the next reading, whatever that shows.
    if (last && before !== null) last.to = time;
    if (profile !== null && profile !== before) found.push({ profile, from: time, to: time });
  });
  return found;
}

/** The highest of a column; null of nothing. */
export function highest(values: readonly (number | null)[]): number | null {
  return values.reduce<number | null>((most, value) => (value !== null && (most === null || value > most) ? value : most), null);
}
