import type { Backend, OnChatEvent } from "../ipc/client";
import { toProblem } from "../ipc/problem";
import type { Asked, ConversationSettings, ConversationSummary, ConversationView, Problem, StoredMessage } from "../ipc/wire";
import { Answer, type Scheduler } from "./answer.svelte";

/** A message of the user's. */
export class Question {
  readonly role = "user";
  /** Its number in the store; null until the store has it. */
  id = $state<number | null>(null);
  /** The wordings in the same place, itself included. */
  siblings = $state.raw<readonly number[]>([]);

  constructor(
    /** Tells it from every other turn in this window. */
    readonly key: number,
    readonly text: string,
    message: StoredMessage | null = null,
  ) {
    if (message) this.keep(message);
  }

  keep(message: StoredMessage): void {
    this.id = message.id;
    this.siblings = message.siblings;
  }
}

export type Turn = Question | Answer;

/** How long the draft may wait before it is kept, in milliseconds. */
const DRAFT_MS = 300;

/** Settings that leave everything to Workly. */
export const DEFAULT_SETTINGS: ConversationSettings = {
  system_prompt: "", temperature: null, top_k: null, top_p: null, min_p: null, repeat_penalty: null, seed: null, max_tokens: null,
};

/** The conversation in the window: the turns of its chosen branch and the draft of the next question. */
export class Conversation {
  /** Its number in the store; null until something was said or set. */
  id = $state<number | null>(null);
  title = $state("");
  settings = $state.raw<ConversationSettings>(DEFAULT_SETTINGS);
  turns = $state.raw<readonly Turn[]>([]);
  /** Whether the user asked for a stop that has not happened yet. */
  stopping = $state(false);
  /** Why something the user did here was not done. */
  problem = $state.raw<Problem | null>(null);
  /** The turn that a search led to, until something else happens. */
  sought = $state<number | null>(null);
  /** Counts the conversations shown here, so that a view knows when it shows another one. */
  shown = $state(0);
  /** The last turn, where it is an answer. */
  readonly last = $derived.by(() => {
    const turn = this.turns.at(-1);
    return turn?.role === "assistant" ? turn : null;
  });
  readonly answering = $derived(this.last?.streaming ?? false);
  /** Tokens of the context in use after the last answer that tells; null before one does. */
  readonly tokensUsed = $derived.by(() => {
    for (let index = this.turns.length - 1; index >= 0; index -= 1) {
      const turn = this.turns[index];
      if (turn?.role !== "assistant") continue;
      if (turn.stats && turn.stats.prompt_tokens > 0) return turn.stats.prompt_tokens + turn.stats.tokens;
      if (turn.streaming && turn.prompt) return turn.prompt.total + turn.tokens;
    }
    return null;
  });

  #draft = $state("");
  #draftTimer: ReturnType<typeof setTimeout> | undefined;
  #keys = 0;
  /** The answers being written that are heard here, by their number, shown or not: each is watched once, to its end. */
  readonly #heard = new Map<number, Answer>();

  constructor(
    private readonly backend: Backend,
    /** Told of a conversation that something was said in, and whether it came to be here just now. */
    private readonly onchange: (summary: ConversationSummary, isNew: boolean) => void = () => undefined,
    private readonly schedule?: Scheduler,
  ) {}

  get draft(): string {
    return this.#draft;
  }

  set draft(text: string) {
    if (text === this.#draft) return;
    this.#draft = text;
    clearTimeout(this.#draftTimer);
    this.#draftTimer = setTimeout(() => this.keepDraft(), DRAFT_MS);
  }

  /** Keeps the draft now instead of a moment later. */
  keepDraft(): void {
    if (this.#draftTimer === undefined) return;
    clearTimeout(this.#draftTimer);
    this.#draftTimer = undefined;
    void this.backend.saveDraft(this.id, this.#draft).catch(() => undefined);
  }

  /** Shows a conversation; null is the one that does not exist yet. */
  show(view: ConversationView | null, draft = ""): void {
    this.keepDraft();
    this.id = view?.summary.id ?? null;
    this.title = view?.summary.title ?? "";
    this.settings = view?.settings ?? DEFAULT_SETTINGS;
    this.#draft = view?.draft ?? draft;
    this.stopping = false;
    this.problem = null;
    this.sought = null;
    this.shown += 1;
    this.#take(view?.messages ?? []);
  }

  /** Sends the draft. Returns false, and keeps the draft, when there is nothing to send or an answer is being written. */
  send(): boolean {
    const text = this.#draft.trim();
    if (text === "" || this.answering) return false;
    this.#draft = "";
    clearTimeout(this.#draftTimer);
    this.#draftTimer = undefined;
    this.#ask(this.turns, text);
    return true;
  }

  /** Asks again in place of an answer that failed or was interrupted. */
  retry(): void {
    const { last } = this;
    if (!last || (last.state !== "failed" && last.state !== "interrupted")) return;
    if (last.id !== null) return this.regenerate(last);
    // The store never took the question.
    const question = this.turns.at(-2);
    if (question?.role === "user") this.#ask(this.turns.slice(0, -2), question.text);
  }

  /** Asks for another answer beside this one; what followed it is left. */
  regenerate(answer: Answer): void {
    const { id } = this;
    const at = this.turns.indexOf(answer);
    if (this.answering || answer.id === null || id === null || at === -1) return;
    const message = answer.id;
    this.#begin(this.turns.slice(0, at), null, (onEvent) => this.backend.regenerate(id, message, onEvent));
  }

  /** Asks a question in other words; what followed it is left. */
  edit(question: Question, text: string): void {
    const { id } = this;
    const at = this.turns.indexOf(question);
    const trimmed = text.trim();
    if (this.answering || question.id === null || id === null || at === -1 || trimmed === "") return;
    const message = question.id;
    const changed = new Question(this.#keys++, trimmed);
    this.#begin(this.turns.slice(0, at), changed, (onEvent) => this.backend.edit(id, message, trimmed, onEvent));
  }

  /** Shows the version of a turn that stands before or after it. */
  async chooseBeside(turn: Turn, direction: 1 | -1): Promise<void> {
    const beside = turn.siblings[turn.siblings.indexOf(turn.id ?? -1) + direction];
    if (beside === undefined || this.answering) return;
    await this.choose(beside);
  }

  /** Shows the branch that holds a message. */
  async choose(message: number): Promise<void> {
    try {
      const view = await this.backend.chooseBranch(message);
      if (view.summary.id === this.id) this.#take(view.messages);
    } catch (reason) {
      this.problem = toProblem(reason);
    }
  }

  /** Stops the answer being written. */
  async stop(): Promise<void> {
    if (!this.answering || this.stopping) return;
    this.stopping = true;
    if (this.last?.id !== null && this.id !== null) await this.#stop(this.id);
  }

  async #stop(id: number): Promise<void> {
    try {
      await this.backend.stop(id);
    } catch {
      // The answer goes on, and the user can ask again; if the core is gone, the answer itself fails.
      this.stopping = false;
    }
  }

  /** Changes how answers are written from now on. */
  async setSettings(settings: ConversationSettings): Promise<void> {
    const before = this.settings;
    this.settings = settings;
    try {
      const summary = await this.backend.setConversationSettings(this.id, settings);
      if (this.id === null) {
        this.id = summary.id;
        this.onchange(summary, true);
      }
    } catch (reason) {
      this.settings = before;
      this.problem = toProblem(reason);
    }
  }

  #ask(before: readonly Turn[], text: string): void {
    const { id } = this;
    this.#begin(before, new Question(this.#keys++, text), (onEvent) => this.backend.ask(id, text, onEvent));
  }

  /** Shows the answer to be at once, and asks for it. */
  #begin(before: readonly Turn[], question: Question | null, ask: (onEvent: OnChatEvent) => Promise<Asked>): void {
    const answer = new Answer(this.#keys++, null, this.schedule);
    this.turns = question ? [...before, question, answer] : [...before, answer];
    this.stopping = false;
    this.problem = null;
    this.sought = null;
    const { shown } = this;
    const isNew = this.id === null;
    ask((event) => this.#hear(answer, event)).then(
      (asked) => {
        if (asked.question) question?.keep(asked.question);
        this.#began(answer, asked.answer);
        if (this.shown === shown) {
          this.id = asked.conversation.id;
          this.title = asked.conversation.title;
        }
        this.onchange(asked.conversation, isNew);
        // The user was faster than the store.
        if (answer === this.last && this.stopping) void this.#stop(asked.conversation.id);
      },
      (reason: unknown) => answer.refuse(toProblem(reason)),
    );
  }

  /** The store has an answer that was asked for here. */
  #began(answer: Answer, { id, siblings }: StoredMessage): void {
    answer.id = id;
    answer.siblings = siblings;
    if (!answer.streaming) return;
    this.#heard.set(id, answer);
    // Whoever left and came back meanwhile has read it from the store, and that one hears nothing.
    if (this.turns.some((turn) => turn.id === id && turn !== answer)) {
      this.turns = this.turns.map((turn) => (turn.id === id ? answer : turn));
    }
  }

  #hear(answer: Answer, event: Parameters<OnChatEvent>[0]): void {
    answer.apply(event);
    if (answer.streaming) return;
    if (answer.id !== null) this.#heard.delete(answer.id);
    if (answer === this.last) this.stopping = false;
  }

  /** Hears an answer that is being written in a conversation, from where it is to its end. */
  async #watch(conversation: number, message: number, answer: Answer): Promise<void> {
    this.#heard.set(message, answer);
    try {
      if (await this.backend.watch(conversation, (event) => this.#hear(answer, event))) return;
      // It ended after it was read and before it could be watched.
      const view = conversation === this.id ? await this.backend.openConversation(conversation) : null;
      const whole = view?.messages.find(({ id }) => id === message);
      if (whole && answer.streaming) answer.restore(whole);
    } catch {
      // It is read again when its conversation is opened the next time.
    }
    if (this.#heard.get(message) === answer) this.#heard.delete(message);
  }

  #take(messages: readonly StoredMessage[]): void {
    // Turns that are still there stay the same objects, so that what is on screen stays as it is.
    const known = new Map<number | null, Turn>([...this.turns.map((turn) => [turn.id, turn] as const), ...this.#heard]);
    this.turns = messages.map((message) => {
      const turn = known.get(message.id);
      if (turn?.role === "user") {
        turn.keep(message);
        return turn;
      }
      if (turn) {
        turn.siblings = message.siblings;
        return turn;
      }
      return message.role === "assistant"
        ? new Answer(this.#keys++, message, this.schedule)
        : new Question(this.#keys++, message.content, message);
    });
    const { last, id } = this;
    if (last?.streaming && last.id !== null && id !== null && !this.#heard.has(last.id)) void this.#watch(id, last.id, last);
  }
}
