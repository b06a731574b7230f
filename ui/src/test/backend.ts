import type { Backend } from "../ipc/client";
import type { AnswerEvent, AnswerRequest, AnswerStats, ModelSnapshot } from "../ipc/wire";

/** A core whose answers a test writes, event by event. */
export class FakeBackend implements Backend {
  readonly requests: AnswerRequest[] = [];
  readonly opened: string[] = [];
  stops = 0;
  /** What `answer` rejects with, when set. */
  refusal: unknown = null;
  /** What the other calls reject with, when set. */
  failure: unknown = null;
  model: ModelSnapshot = snapshot();
  #onEvent: ((event: AnswerEvent) => void) | null = null;
  #onModel: ((model: ModelSnapshot) => void) | null = null;

  snapshot = async () => {
    if (this.failure !== null) throw this.failure;
    return { version: "0.1.0", model: this.model };
  };

  answer = async (request: AnswerRequest, onEvent: (event: AnswerEvent) => void) => {
    this.requests.push(request);
    if (this.refusal !== null) throw this.refusal;
    this.#onEvent = onEvent;
  };

  stop = async () => {
    this.stops += 1;
    if (this.failure !== null) throw this.failure;
  };

  openLink = async (url: string) => {
    if (this.failure !== null) throw this.failure;
    this.opened.push(url);
  };

  onModelChanged = async (callback: (model: ModelSnapshot) => void) => {
    this.#onModel = callback;
    return () => {
      this.#onModel = null;
    };
  };

  /** Sends events of the answer asked for last. */
  emit(...events: AnswerEvent[]): void {
    for (const event of events) this.#onEvent?.(event);
  }

  changeModel(model: ModelSnapshot): void {
    this.#onModel?.(model);
  }
}

export function snapshot(changes: Partial<ModelSnapshot> = {}): ModelSnapshot {
  return {
    state: "ready", load_fraction: null, model: null, profile: "cpu_fallback", switching_to: null, strategy: null, why: null,
    plan: null, choice: "auto", auto_switching: true, override_kind: null, standby_ready: false, tokens_per_second: null,
    notice: null, problem: null, worker_pid: null, ...changes,
  };
}

export function token(text: string, index = 0): AnswerEvent {
  return { type: "token", index, id: 1, text, profile: "cpu_fallback" };
}

export function done(changes: Partial<AnswerStats> = {}): AnswerEvent {
  return {
    type: "done", tokens: 2, tokens_per_second: 80, prompt_tokens: 10, cached_prompt_tokens: 0,
    time_to_first_token_ms: 120, stop: "end", ...changes,
  };
}

/** Lets every promise that can settle, settle. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

/** Runs at once what would wait for the next frame. */
export const atOnce = (flush: () => void): void => flush();
