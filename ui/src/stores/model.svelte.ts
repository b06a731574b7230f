import type { Backend } from "../ipc/client";
import { toProblem } from "../ipc/problem";
import type { ModelView, Problem } from "../ipc/wire";

/** The model as the core last described it. */
export class ModelStore {
  /** Null until the core has answered. */
  snapshot = $state.raw<ModelView | null>(null);
  /** Why there is no model to talk to: it failed, or the core could not be asked. */
  readonly problem: Problem | null = $derived.by(() => {
    if (this.#unreachable) return this.#unreachable;
    return this.snapshot?.state === "failed" ? this.snapshot.problem : null;
  });
  #unreachable = $state.raw<Problem | null>(null);

  constructor(private readonly backend: Backend) {}

  /** Takes a snapshot and follows every change from then on. Returns the way to stop following. */
  async follow(): Promise<() => void> {
    try {
      // Listening begins first, and what it hears wins: a change during the snapshot would be lost otherwise.
      let heard = false;
      const stop = await this.backend.onModelChanged((model) => {
        heard = true;
        this.snapshot = model;
      });
      const { model } = await this.backend.snapshot();
      if (!heard) this.snapshot = model;
      return stop;
    } catch (reason) {
      this.#unreachable = toProblem(reason);
      return () => undefined;
    }
  }
}
