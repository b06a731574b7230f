// The one place that talks to the Rust side. Everything else sees the `Backend` interface.

import { Channel, invoke } from "@tauri-apps/api/core";
import { listen } from "@tauri-apps/api/event";
import { MODEL_CHANGED, type AnswerEvent, type AnswerRequest, type AppSnapshot, type ModelSnapshot } from "./wire";

/** What the Rust side does for the window. A rejected promise carries a `Problem`. */
export interface Backend {
  /** The state of everything, now. */
  snapshot(): Promise<AppSnapshot>;
  /** Starts an answer; resolves once it is accepted. Events come in order, with one `done` or `failed` at the end. */
  answer(request: AnswerRequest, onEvent: (event: AnswerEvent) => void): Promise<void>;
  /** Stops the answer being written; it then ends with `done` and stop `cancelled`. */
  stop(): Promise<void>;
  /** Opens an http, https or mailto address in the system's browser. */
  openLink(url: string): Promise<void>;
  /** Calls back at each change of the model; resolves once it listens. Returns the way to stop listening. */
  onModelChanged(callback: (model: ModelSnapshot) => void): Promise<() => void>;
}

export const backend: Backend = {
  snapshot: () => invoke<AppSnapshot>("snapshot"),
  answer: (request, onEvent) => {
    const events = new Channel<AnswerEvent>(onEvent);
    return invoke<void>("answer", { request, events });
  },
  stop: () => invoke<void>("stop"),
  openLink: (url) => invoke<void>("open_link", { url }),
  onModelChanged: (callback) => listen<ModelSnapshot>(MODEL_CHANGED, (event) => callback(event.payload)),
};
