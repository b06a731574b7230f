import type {
  AnswerEvent,
  AnswerStats,
  ChatEvent,
  MessageState,
  PlacedSwitch,
  Problem,
  Profile,
  StopReason,
  StoredMessage,
} from "../ipc/wire";

/** Runs `flush` before the next paint; the window's own is `requestAnimationFrame`. */
export type Scheduler = (flush: () => void) => void;

const nextFrame: Scheduler = (flush) => requestAnimationFrame(flush);

/** One answer of the model and what became of it. It knows nothing of the conversation around it. */
export class Answer {
  readonly role = "assistant";
  /** Its number in the store; null until the store has it. */
  id = $state<number | null>(null);
  /** The answers in the same place, itself included. */
  siblings = $state.raw<readonly number[]>([]);
  text = $state("");
  state = $state<MessageState>("streaming");
  /** How much of the prompt is read; null before the first report. */
  prompt = $state.raw<{ done: number; total: number } | null>(null);
  /** Tokens written so far. */
  tokens = $state(0);
  /** How many of the oldest turns the model did not see. */
  droppedTurns = $state(0);
  /** Name of the model that writes it. */
  model = $state<string | null>(null);
  /** The profile of the last token. */
  profile = $state<Profile | null>(null);
  /** Whether the model's process has stopped giving signs of life. */
  silent = $state(false);
  /** The changes of profile in the middle of the answer, in order. */
  switches = $state.raw<readonly PlacedSwitch[]>([]);
  stats = $state.raw<AnswerStats | null>(null);
  problem = $state.raw<Problem | null>(null);
  readonly streaming = $derived(this.state === "streaming");
  readonly stop: StopReason | null = $derived(this.stats?.stop ?? (this.state === "stopped" ? "cancelled" : null));

  // Tokens come faster than the screen refreshes, so their text waits here for the next frame.
  #pending = "";
  #pendingTokens = 0;
  #scheduled = false;

  constructor(
    /** Tells it from every other turn in this window. */
    readonly key: number,
    message: StoredMessage | null = null,
    private readonly schedule: Scheduler = nextFrame,
  ) {
    if (message) this.restore(message);
  }

  /** Takes what is kept of it in place of what was here. */
  restore(message: StoredMessage): void {
    const { answer } = message;
    this.#pending = "";
    this.#pendingTokens = 0;
    this.id = message.id;
    this.siblings = message.siblings;
    this.text = message.content;
    this.state = message.state;
    this.stats = answer?.stats ?? null;
    this.tokens = answer?.stats?.tokens ?? 0;
    this.model = answer?.model ?? null;
    this.profile = answer?.profile ?? null;
    this.switches = answer?.switches ?? [];
    this.droppedTurns = answer?.dropped_turns ?? 0;
    this.problem = answer?.problem ?? null;
  }

  /** Takes the next event. Whatever comes after the end is ignored. */
  apply(event: ChatEvent): void {
    if (!this.streaming) return;
    if (event.type === "snapshot") this.restore(event.message);
    else if (event.type === "switched") this.switches = [...this.switches, event.placed];
    else this.#hear(event.event);
  }

  /** Takes the same changes of profile in other words; those that came since stay as they are. */
  reword(switches: readonly PlacedSwitch[]): void {
    this.switches = [...switches, ...this.switches.slice(switches.length)];
  }

  /** The question could not be asked. */
  refuse(problem: Problem): void {
    this.#hear({ type: "failed", ...problem });
  }

  #hear(event: AnswerEvent): void {
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
        // Comes with its place, as an event of its own.
        break;
      case "done":
        this.stats = event;
        this.#end(event.stop === "cancelled" ? "stopped" : "done");
        break;
      case "failed":
        // A load that the user stopped ends this way; that is no error to show.
        if (event.code === "cancelled") this.#end("stopped");
        else {
          this.problem = event;
          this.#end("failed");
        }
        break;
    }
  }

  #write(text: string): void {
    this.#pending += text;
    this.#pendingTokens += 1;
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.schedule(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    this.tokens += this.#pendingTokens;
    this.#pendingTokens = 0;
    if (this.#pending === "") return;
    this.text += this.#pending;
    this.#pending = "";
  }

  #end(state: MessageState): void {
    this.#flush();
    this.silent = false;
    this.state = state;
  }
}
