import type { MonitorBackend } from "../ipc/monitor";
import { toProblem } from "../ipc/problem";
import type { GpuPast, GpuView, MonitorUpdate, Problem, ProcessUse, DecisionView } from "../ipc/wire";

const HOUR_MS = 3_600_000;

/** The GPU as the core last described it. Watched only while a page asks for it. */
export class MonitorStore {
  /** Null until the core has answered. */
  view = $state.raw<GpuView | null>(null);
  past = $state.raw<GpuPast>(nothing());
  /** Oldest first. */
  switches = $state.raw<DecisionView[]>([]);
  /** Null until they were asked for. */
  processes = $state.raw<ProcessUse[] | null>(null);
  processesProblem = $state.raw<Problem | null>(null);
  problem = $state.raw<Problem | null>(null);
  /** The file written last. */
  exported = $state<string | null>(null);
  /** Each watch has a number: what an earlier one still sends is of no interest. */
  #watch = 0;

  constructor(readonly backend: MonitorBackend) {}

  async watch(): Promise<void> {
    const watch = ++this.#watch;
    try {
      await this.backend.watch((update) => {
        if (watch === this.#watch) this.take(update);
      });
      this.problem = null;
    } catch (reason) {
      this.problem = toProblem(reason);
    }
  }

  async unwatch(): Promise<void> {
    this.#watch += 1;
    // The core may be gone already; there is nothing left to stop then.
    await this.backend.unwatch().catch(() => undefined);
  }

  take(update: MonitorUpdate): void {
    if (update.type === "start") {
      this.view = update.view;
      this.past = update.past;
      this.switches = update.switches;
    } else if (update.type === "switched") {
      this.switches = [...this.switches, update.entry];
    } else {
      this.view = update.view;
      if (update.added) this.past = appended(this.past, update.added);
    }
  }

  async askForProcesses(): Promise<void> {
    try {
      this.processes = await this.backend.processes();
      this.processesProblem = null;
    } catch (reason) {
      this.processesProblem = toProblem(reason);
    }
  }

  async exportHistory(): Promise<void> {
    try {
      this.exported = await this.backend.exportHistory();
      this.problem = null;
    } catch (reason) {
      this.problem = toProblem(reason);
    }
  }

  async showExport(): Promise<void> {
    try {
      await this.backend.showExport();
    } catch (reason) {
      this.problem = toProblem(reason);
    }
  }
}

export function nothing(): GpuPast {
  return { unix_ms: [], vram_percent: [], own_percent: [], gpu_percent: [], profile: [] };
}

/** The past with new readings at its end and without those of more than an hour ago. */
export function appended(past: GpuPast, added: GpuPast): GpuPast {
  const last = added.unix_ms.at(-1) ?? 0;
  const from = past.unix_ms.findIndex((time) => time >= last - HOUR_MS);
  const keep = <T>(old: T[], fresh: T[]): T[] => [...(from < 0 ? [] : old.slice(from)), ...fresh];
  return {
    unix_ms: keep(past.unix_ms, added.unix_ms),
    vram_percent: keep(past.vram_percent, added.vram_percent),
    own_percent: keep(past.own_percent, added.own_percent),
    gpu_percent: keep(past.gpu_percent, added.gpu_percent),
    profile: keep(past.profile, added.profile),
  };
}
