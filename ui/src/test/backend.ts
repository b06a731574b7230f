import type { Backend, OnChatEvent } from "../ipc/client";
import type {
  AnswerEvent,
  AnswerStats,
  Asked,
  ChatEvent,
  ChatSnapshot,
  ConversationSettings,
  ConversationSummary,
  ConversationView,
  ExportFormat,
  ModelView,
  Profile,
  SearchHit,
  StoredMessage,
  StoreNotice,
} from "../ipc/wire";

/** A core that keeps nothing, and whose answers a test writes, event by event. */
export class FakeBackend implements Backend {
  /** What was asked, in words: `ask null Hello?`, `regenerate 1 4`. */
  readonly asked: string[] = [];
  readonly drafts: [number | null, string][] = [];
  readonly opened: string[] = [];
  readonly stopped: number[] = [];
  readonly exported: [number, ExportFormat][] = [];
  readonly watched: number[] = [];
  settings: ConversationSettings | null = null;
  /** What questions are rejected with, when set. */
  refusal: unknown = null;
  /** What the other calls reject with, when set. */
  failure: unknown = null;
  model: ModelView = snapshot();
  chat: ChatSnapshot = { conversations: [], open: null, draft: "", notices: [] };
  /** The conversations that can be opened. */
  views = new Map<number, ConversationView>();
  hits: SearchHit[] = [];
  #ids = 100;
  /** Those who hear the answer asked for or watched last. */
  #watchers: OnChatEvent[] = [];
  #onModel: ((model: ModelView) => void) | null = null;
  #onConversation: ((conversation: ConversationSummary) => void) | null = null;
  #onStore: ((notices: StoreNotice[]) => void) | null = null;

  snapshot = () => this.#do({ version: "0.1.0", model: this.model });
  chatSnapshot = () => this.#do(this.chat);
  openConversation = (id: number | null) => this.#do(id === null ? null : (this.views.get(id) ?? view(id)));
  renameConversation = (id: number, title: string) => this.#do(summary(id, { title }));
  deleteConversation = () => this.#do(undefined);
  restoreConversation = (id: number) => this.#do(summary(id, { title: "Back" }));
  searchConversations = () => this.#do(this.hits);
  dismissStoreNotices = () => this.#do(undefined);
  chooseBranch = (message: number) => {
    const found = [...this.views.values()].find((view) => view.messages.some(({ id }) => id === message));
    return this.#do(found ?? view(1));
  };

  exportConversation = (id: number, format: ExportFormat) => {
    this.exported.push([id, format]);
    return this.#do("chat.md");
  };

  setConversationSettings = (id: number | null, settings: ConversationSettings) => {
    this.settings = settings;
    return this.#do(summary(id ?? 1));
  };

  saveDraft = (conversation: number | null, draft: string) => {
    this.drafts.push([conversation, draft]);
    return this.#do(undefined);
  };

  ask = (conversation: number | null, text: string, onEvent: OnChatEvent) =>
    this.#asked(`ask ${conversation} ${text}`, conversation ?? 1, text, onEvent);
  regenerate = (conversation: number, message: number, onEvent: OnChatEvent) =>
    this.#asked(`regenerate ${conversation} ${message}`, conversation, null, onEvent);
  edit = (conversation: number, message: number, text: string, onEvent: OnChatEvent) =>
    this.#asked(`edit ${conversation} ${message} ${text}`, conversation, text, onEvent);

  watch = (conversation: number, onEvent: OnChatEvent) => {
    this.watched.push(conversation);
    this.#watchers.push(onEvent);
    return this.#do(true);
  };

  stop = (conversation: number) => {
    this.stopped.push(conversation);
    return this.#do(undefined);
  };

  openLink = async (url: string) => {
    await this.#do(undefined);
    this.opened.push(url);
  };

  onModelChanged = async (callback: (model: ModelView) => void) => {
    this.#onModel = callback;
    return () => {
      this.#onModel = null;
    };
  };

  onConversationChanged = async (callback: (conversation: ConversationSummary) => void) => {
    this.#onConversation = callback;
    return () => {
      this.#onConversation = null;
    };
  };

  onStoreChanged = async (callback: (notices: StoreNotice[]) => void) => {
    this.#onStore = callback;
    return () => {
      this.#onStore = null;
    };
  };

  /** Sends events of the answer asked for last. */
  emit(...events: (AnswerEvent | ChatEvent)[]): void {
    for (const event of events) {
      const whole = event.type === "snapshot" || (event.type === "switched" && "placed" in event) || event.type === "answer";
      for (const tell of this.#watchers) tell(whole ? (event as ChatEvent) : { type: "answer", event: event as AnswerEvent });
    }
  }

  changeModel(model: ModelView): void {
    this.#onModel?.(model);
  }

  changeConversation(conversation: ConversationSummary): void {
    this.#onConversation?.(conversation);
  }

  changeStore(...notices: StoreNotice[]): void {
    this.#onStore?.(notices);
  }

  async #do<T>(result: T): Promise<T> {
    if (this.failure !== null) throw this.failure;
    return result;
  }

  async #asked(what: string, conversation: number, text: string | null, onEvent: OnChatEvent): Promise<Asked> {
    this.asked.push(what);
    if (this.refusal !== null) throw this.refusal;
    this.#watchers = [onEvent];
    return {
      conversation: summary(conversation, { title: text ?? "", answering: true }),
      question: text === null ? null : message(this.#ids++, "user", text),
      answer: message(this.#ids++, "assistant", "", { state: "streaming" }),
    };
  }
}

export function snapshot(changes: Partial<ModelView> = {}): ModelView {
  return {
    state: "ready", answering: false, load_fraction: null, model: null, profile: "cpu_fallback", switching_to: null, strategy: null, why: null,
    plan: null, choice: "auto", auto_switching: true, override_kind: null, standby_ready: false, tokens_per_second: null,
    notices: [], notice_texts: [], problem: null, worker_pid: null, ...changes,
  };
}

export function summary(id: number, changes: Partial<ConversationSummary> = {}): ConversationSummary {
  return { id, title: `Conversation ${id}`, updated_ms: id, answering: false, ...changes };
}

export function message(
  id: number,
  role: "user" | "assistant",
  content: string,
  changes: Partial<StoredMessage> = {},
): StoredMessage {
  const answer =
    role === "user" ? null : { model: null, profile: null, stats: null, switches: [], dropped_turns: 0, problem: null };
  return { id, parent: null, role, content, state: "done", created_ms: 0, siblings: [id], answer, ...changes };
}

export function view(id: number, messages: StoredMessage[] = [], changes: Partial<ConversationView> = {}): ConversationView {
  const settings: ConversationSettings = {
    system_prompt: "", temperature: null, top_k: null, top_p: null, min_p: null, repeat_penalty: null, seed: null, max_tokens: null,
  };
  return { summary: summary(id), settings, draft: "", messages, ...changes };
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

export function switched(to: Profile, at_text: number): ChatEvent {
  return {
    type: "switched",
    placed: {
      at_text,
      why_text: "VRAM 95 %",
      switch: {
        from: "performance", to, why: { code: "asked", after_token: null }, strategy: "standby", at_token: 1, gap_ms: 20,
        vram_released_ms: 200, state_bytes: null, saved_in_ms: null, restored_in_ms: null,
      },
    },
  };
}

/** Lets every promise that can settle, settle. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

/** Runs at once what would wait for the next frame. */
export const atOnce = (flush: () => void): void => flush();
