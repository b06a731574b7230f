import type { AnswerEvent, AnswerStats, AnswerSwitch, Problem, Profile, StopReason } from "../ipc/wire";

export type AnswerState = "streaming" | "done" | "failed";

/** Runs `flush` before the next paint; the window's own is `requestAnimationFrame`. */
export type Scheduler = (flush: () => void) => void;

const nextFrame: Scheduler = (flush) => requestAnimationFrame(flush);

/** One answer of the model and what became of it. It knows nothing of the conversation around it. */
export class Answer {
  readonly role = "assistant";
  text = $state("");
  state = $state<AnswerState>("streaming");
  /** How much of the prompt is read; null before the first report. */
  prompt = $state.raw<{ done: number; total: number } | null>(null);
  /** How many of the oldest turns the model did not see. */
  droppedTurns = $state(0);
  /** The profile of the last token. */
  profile = $state<Profile | null>(null);
  /** Whether the model's process has stopped giving signs of life. */
  silent = $state(false);
  /** The changes of profile in the middle of the answer, in order. */
  switches = $state.raw<readonly AnswerSwitch[]>([]);
  stats = $state.raw<AnswerStats | null>(null);
  stop = $state<StopReason | null>(null);
  problem = $state.raw<Problem | null>(null);

  // Tokens come faster than the screen refreshes, so their text waits here for the next frame.
  #pending = "";
  #scheduled = false;

  constructor(
    readonly id: number,
    private readonly schedule: Scheduler = nextFrame,
  ) {}

  /** Takes the next event. Whatever comes after the end is ignored. */
  apply(event: AnswerEvent): void {
    if (this.state !== "streaming") return;
    switch (event.type) {
      case "prompt":
        this.prompt = { done: event.done, total: event.total };
        this.droppedTurns = event.dropped_turns;
        break;
      case "token":
        this.silent = false;
        this.profile = event.profile;
        this.#write(event.text);
        break;
      case "silent":
        this.silent = true;
        break;
      case "resumed":
        this.silent = false;
        break;
      case "switched":
        this.switches = [...this.switches, event];
        break;
      case "done":
        this.stats = event;
        this.#end("done", event.stop);
        break;
      case "failed":
        // A load that the user stopped ends this way; that is no error to show.
        if (event.code === "cancelled") this.#end("done", "cancelled");
        else {
          this.problem = event;
          this.#end("failed", null);
        }
        break;
    }
  }

  #write(text: string): void {
    this.#pending += text;
    if (this.#scheduled || text === "") return;
    this.#scheduled = true;
    this.schedule(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#pending === "") return;
    this.text += this.#pending;
    this.#pending = "";
  }

  #end(state: AnswerState, stop: StopReason | null): void {
    this.#flush();
    this.silent = false;
    this.stop = stop;
    this.state = state;
  }
}
