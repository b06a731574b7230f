import type { MonitorBackend } from "../ipc/monitor";
import { toProblem } from "../ipc/problem";
import type { Demo, DemoName, GpuPast, Problem, DecisionView } from "../ipc/wire";

/** How many seconds of the recording pass in one. */
export const SPEEDS = [1, 10, 60] as const;
export type Speed = (typeof SPEEDS)[number];

/** The demonstration: a recording that plays on an imagined card. Runs the real policy in the core; only shows it here. */
export class DemoStore {
  /** Null while no recording is open. */
  demo = $state.raw<Demo | null>(null);
  /** Where it is, milliseconds from its beginning. */
  at = $state(0);
  playing = $state(false);
  speed = $state<Speed>(10);
  problem = $state.raw<Problem | null>(null);
  readonly length: number = $derived(this.demo?.past.unix_ms.at(-1) ?? 0);
  /** What has been played so far. */
  readonly past: GpuPast | null = $derived.by(() => (this.demo ? until(this.demo.past, this.at) : null));
  readonly switches: DecisionView[] = $derived(this.demo?.switches.filter((entry) => entry.unix_ms <= this.at) ?? []);

  constructor(private readonly backend: MonitorBackend) {}

  async open(name: DemoName): Promise<void> {
    try {
      this.demo = await this.backend.demo(name);
      this.at = 0;
      this.playing = true;
      this.problem = null;
    } catch (reason) {
      this.problem = toProblem(reason);
    }
  }

  /** Asks for the open recording in the words of the language that is chosen now; it stays where it is. */
  async askAgainWhy(): Promise<void> {
    if (!this.demo) return;
    const { name } = this.demo;
    const again = await this.backend.demo(name).catch(() => null);
    if (again && this.demo?.name === name) this.demo = again;
  }

  close(): void {
    this.demo = null;
    this.playing = false;
  }

  /** Lets time pass, milliseconds of the one who watches. Stops at the end. */
  pass(milliseconds: number): void {
    if (!this.playing) return;
    this.at = Math.min(this.at + milliseconds * this.speed, this.length);
    if (this.at >= this.length) this.playing = false;
  }

  toggle(): void {
    if (!this.playing && this.at >= this.length) this.at = 0;
    this.playing = !this.playing;
  }
}

/** The readings up to a time. */
function until(past: GpuPast, time: number): GpuPast {
  const after = past.unix_ms.findIndex((at) => at > time);
  const end = after < 0 ? past.unix_ms.length : Math.max(after, 1);
  return {
    unix_ms: past.unix_ms.slice(0, end),
    vram_percent: past.vram_percent.slice(0, end),
    own_percent: past.own_percent.slice(0, end),
    gpu_percent: past.gpu_percent.slice(0, end),
    profile: past.profile.slice(0, end),
  };
}
