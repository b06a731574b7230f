import type { Backend } from "../ipc/client";
import { toProblem } from "../ipc/problem";
import type { AnswerEvent, Message } from "../ipc/wire";
import { Answer, type Scheduler } from "./answer.svelte";

export interface Question {
  readonly role: "user";
  readonly id: number;
  readonly text: string;
}

export type Turn = Question | Answer;

/** The conversation in the window: its turns, the answer being written and the draft of the next question. */
export class Conversation {
  turns = $state.raw<readonly Turn[]>([]);
  draft = $state("");
  /** Whether the user asked for a stop that has not happened yet. */
  stopping = $state(false);
  /** The last turn, where it is an answer. */
  readonly last = $derived.by(() => {
    const turn = this.turns.at(-1);
    return turn?.role === "assistant" ? turn : null;
  });
  readonly answering = $derived(this.last?.state === "streaming");

  #ids = 0;
  // Settles when the answer started last has ended, also one whose conversation is gone: one answer at a time.
  #idle: Promise<void> = Promise.resolve();

  constructor(
    private readonly backend: Backend,
    private readonly schedule?: Scheduler,
  ) {}

  /** Sends the draft. Returns false, and keeps the draft, when there is nothing to send or an answer is being written. */
  send(): boolean {
    const text = this.draft.trim();
    if (text === "" || this.answering) return false;
    this.draft = "";
    this.turns = [...this.turns, { role: "user", id: this.#ids++, text }];
    this.#ask();
    return true;
  }

  /** Asks the last question again, in place of the answer that failed. */
  retry(): void {
    if (this.last?.state !== "failed") return;
    this.turns = this.turns.slice(0, -1);
    this.#ask();
  }

  /** Stops the answer being written. */
  async stop(): Promise<void> {
    if (!this.answering || this.stopping) return;
    this.stopping = true;
    try {
      await this.backend.stop();
    } catch {
      // The answer goes on, and the user can ask again; if the core is gone, the answer itself fails.
      this.stopping = false;
    }
  }

  /** Leaves this conversation for an empty one; the draft stays. */
  startNew(): void {
    void this.stop();
    this.turns = [];
    this.stopping = false;
  }

  #ask(): void {
    const answer = new Answer(this.#ids++, this.schedule);
    const messages = toMessages(this.turns);
    this.turns = [...this.turns, answer];
    this.stopping = false;
    this.#idle = this.#idle.then(() => this.#run(answer, messages));
  }

  #run(answer: Answer, messages: Message[]): Promise<void> {
    // The user left this conversation, or stopped, before the answer's turn came.
    if (this.last !== answer) return Promise.resolve();
    if (this.stopping) {
      this.#apply(answer, { type: "failed", code: "cancelled", message: "" });
      return Promise.resolve();
    }
    return new Promise((ended) => {
      const onEvent = (event: AnswerEvent) => {
        this.#apply(answer, event);
        if (event.type === "done" || event.type === "failed") ended();
      };
      this.backend
        .answer({ messages, stop_strings: [], ignore_end: false }, onEvent)
        .catch((reason: unknown) => onEvent({ type: "failed", ...toProblem(reason) }));
    });
  }

  #apply(answer: Answer, event: AnswerEvent): void {
    answer.apply(event);
    if (answer === this.last && answer.state !== "streaming") this.stopping = false;
  }
}

/**
 * What the model is given. An answer that never began leaves its question alone, and since templates insist
 * that speakers take turns, that question and the next one become one message.
 */
export function toMessages(turns: readonly Turn[]): Message[] {
  const messages: Message[] = [];
  for (const { role, text } of turns) {
    if (text === "") continue;
    const previous = messages.at(-1);
    if (previous?.role === role) previous.content += `\n\n${text}`;
    else messages.push({ role, content: text });
  }
  return messages;
}
