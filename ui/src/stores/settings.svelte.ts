import type { SettingsBackend } from "../ipc/settings";
import { toProblem } from "../ipc/problem";
import type { OverrideWish, Problem, SettingsSnapshot } from "../ipc/wire";
import { follow, type Stop } from "./follow";

/** The settings as the core last described them, and the way to change them. */
export class SettingsStore {
  /** Null until the core has answered. */
  snapshot = $state.raw<SettingsSnapshot | null>(null);
  /** Why a change was refused, by the key of the setting. */
  refusals = $state.raw<Record<string, Problem>>({});
  /** Why the settings cannot be shown, or a change as a whole failed. */
  problem = $state.raw<Problem | null>(null);

  constructor(readonly backend: SettingsBackend) {}

  /** Takes a snapshot and follows every change from then on. Returns the way to stop following. */
  follow(): Promise<Stop> {
    return follow({
      listen: (hear) => this.backend.onChanged(hear),
      ask: () => this.backend.snapshot(),
      take: (snapshot) => (this.snapshot = snapshot),
      fail: (problem) => (this.problem = problem),
    });
  }

  /** Sets one value. Says whether it was taken. */
  async set(key: string, value: unknown): Promise<boolean> {
    return this.#change(key, () => this.backend.set(key, value));
  }

  /** Gives one value its default; all of them without a key. */
  async reset(key: string | null = null): Promise<boolean> {
    return this.#change(key ?? "", () => this.backend.reset(key));
  }

  async setOverride(wish: OverrideWish | null, minutes: number | null): Promise<boolean> {
    return this.#change("override", () => this.backend.setOverride(wish, minutes));
  }

  async dismissNotices(): Promise<void> {
    await this.#change("", () => this.backend.dismissNotices());
  }

  isChanged(key: string): boolean {
    return this.snapshot?.changed.includes(key) ?? false;
  }

  isFixed(key: string): boolean {
    return this.snapshot?.fixed_by_arguments.includes(key) ?? false;
  }

  async #change(key: string, change: () => Promise<SettingsSnapshot>): Promise<boolean> {
    try {
      this.snapshot = await change();
      const { [key]: _, ...others } = this.refusals;
      this.refusals = others;
      this.problem = null;
      return true;
    } catch (reason) {
      const problem = toProblem(reason);
      if (problem.code === "invalid_setting") this.refusals = { ...this.refusals, [key]: problem };
      else this.problem = problem;
      return false;
    }
  }
}
