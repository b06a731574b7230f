import type { Backend } from "../ipc/client";
import type { ModelSnapshot, Problem } from "../ipc/wire";
import { follow, type Stop } from "./follow";

/** The model as the core last described it. */
export class ModelStore {
  /** Null until the core has answered. */
  snapshot = $state.raw<ModelSnapshot | null>(null);
  /** Why there is no model to talk to: it failed, or the core could not be asked. */
  readonly problem: Problem | null = $derived.by(() => {
    if (this.#unreachable) return this.#unreachable;
    return this.snapshot?.state === "failed" ? this.snapshot.problem : null;
  });
  #unreachable = $state.raw<Problem | null>(null);

  constructor(private readonly backend: Backend) {}

  /** Takes a snapshot and follows every change from then on. Returns the way to stop following. */
  follow(): Promise<Stop> {
    return follow({
      listen: (hear) => this.backend.onModelChanged(hear),
      ask: async () => (await this.backend.snapshot()).model,
      take: (model) => {
        this.snapshot = model;
        this.#unreachable = null;
      },
      fail: (problem) => (this.#unreachable = problem),
    });
  }
}
