import type { Backend } from "../ipc/client";
import { toProblem } from "../ipc/problem";
import type { ChatSnapshot, ConversationSummary, ExportFormat, ExportWords, Problem, SearchHit, StoreNotice } from "../ipc/wire";
import type { Scheduler } from "./answer.svelte";
import { Conversation } from "./conversation.svelte";
import { follow, type Stop } from "./follow";

/** How long the search waits for the next letter, in milliseconds. */
const SEARCH_MS = 120;
/** How long a deletion can be taken back, in milliseconds. */
export const UNDO_MS = 8000;
/** How long the name of an exported file is shown, in milliseconds. */
const EXPORTED_MS = 4000;

/** All conversations, the search among them, and the one that is open. */
export class Conversations {
  /** The one in the window. */
  readonly current: Conversation;
  /** The last one something was said in first. */
  list = $state.raw<readonly ConversationSummary[]>([]);
  /** Whether the list has come. */
  loaded = $state(false);
  /** What the user has to know of the store. */
  notices = $state.raw<readonly StoreNotice[]>([]);
  /** What was found; null while nothing is searched for. */
  hits = $state.raw<readonly SearchHit[] | null>(null);
  /** The conversation deleted last, while that can be taken back. */
  deleted = $state.raw<ConversationSummary | null>(null);
  /** Name of the file exported last, for a moment. */
  exported = $state<string | null>(null);
  /** Why something the user did to the list was not done. */
  problem = $state.raw<Problem | null>(null);

  #query = $state("");
  #searchTimer: ReturnType<typeof setTimeout> | undefined;
  #undoTimer: ReturnType<typeof setTimeout> | undefined;
  #exportedTimer: ReturnType<typeof setTimeout> | undefined;
  #opening = 0;
  /** Whether the core has told of the store since the window began to listen. */
  #told = false;
  /** What was heard of conversations while the list is asked for; null while it is not. */
  #heard: ConversationSummary[] | null = null;
  /** Whether the list may be another one than when it was asked for. */
  #stale = false;
  /** The draft of the conversation that does not exist yet. */
  #newDraft = "";

  constructor(
    private readonly backend: Backend,
    schedule?: Scheduler,
  ) {
    this.current = new Conversation(backend, (summary, isNew) => this.#said(summary, isNew), schedule);
  }

  get query(): string {
    return this.#query;
  }

  set query(text: string) {
    this.#query = text;
    clearTimeout(this.#searchTimer);
    if (text.trim() === "") this.hits = null;
    else this.#searchTimer = setTimeout(() => void this.#search(text), SEARCH_MS);
  }

  /** Loads the list and what was open last, and follows every change. Returns the way to stop following. */
  async follow(): Promise<Stop> {
    const fail = (problem: Problem) => (this.problem = problem);
    const stops = await Promise.all([
      follow<ConversationSummary>({ listen: (hear) => this.backend.onConversationChanged(hear), take: (summary) => this.put(summary), fail }),
      follow<StoreNotice[]>({ listen: (hear) => this.backend.onStoreChanged(hear), take: (notices) => this.#hear(notices), fail }),
    ]);
    await this.#load();
    return () => stops.forEach((stop) => stop());
  }

  /** Asks for the list, and again where the store changed meanwhile; what was heard since it was asked for stays. */
  async #load(): Promise<void> {
    this.#stale = true;
    if (this.#heard) return;
    while (this.#stale) {
      this.#stale = false;
      const heard: ConversationSummary[] = (this.#heard = []);
      try {
        const snapshot = await this.backend.chatSnapshot();
        this.list = snapshot.conversations.filter(({ id }) => id !== this.deleted?.id);
        heard.forEach((summary) => this.#place(summary));
        this.#begin(snapshot);
      } catch (reason) {
        this.problem = toProblem(reason);
      }
      this.loaded = true;
    }
    this.#heard = null;
  }

  /** Takes what there is at the start; once something was told or shown, that is newer, and stays. */
  #begin({ notices, open, draft }: ChatSnapshot): void {
    if (!this.#told) this.notices = notices;
    const { current } = this;
    if (current.shown > 0 || current.turns.length > 0 || current.draft !== "") return;
    this.#newDraft = draft;
    current.show(open, draft);
  }

  /** Opens a conversation; null starts a new one. */
  async open(id: number | null): Promise<void> {
    this.current.keepDraft();
    if (id === null) {
      if (this.current.id === null && this.current.turns.length === 0) return;
      this.#opening += 1;
      this.current.show(null, this.#newDraft);
      await this.#try(this.backend.openConversation(null));
      return;
    }
    if (id === this.current.id) return;
    if (this.current.id === null) this.#newDraft = this.current.draft;
    const turn = ++this.#opening;
    const view = await this.#try(this.backend.openConversation(id));
    // Who clicks fast gets the last one clicked.
    if (view && turn === this.#opening) this.current.show(view);
  }

  /** Opens what a search found, at the message. */
  async openHit(hit: SearchHit): Promise<void> {
    if (hit.message === null) return this.open(hit.conversation.id);
    this.current.keepDraft();
    const turn = ++this.#opening;
    const view = await this.#try(this.backend.chooseBranch(hit.message));
    if (!view || turn !== this.#opening) return;
    this.current.show(view);
    this.current.sought = hit.message;
  }

  /** Opens the conversation before or after the open one in the list. */
  async openBeside(direction: 1 | -1): Promise<void> {
    const at = this.list.findIndex(({ id }) => id === this.current.id);
    const next = this.list[at === -1 ? 0 : at + direction];
    if (next) await this.open(next.id);
  }

  async rename(id: number, title: string): Promise<void> {
    const summary = await this.#try(this.backend.renameConversation(id, title));
    if (summary) this.put(summary);
  }

  /** Deletes a conversation; for a while that can be taken back. */
  async remove(id: number): Promise<void> {
    const at = this.list.findIndex((summary) => summary.id === id);
    const summary = this.list[at];
    if (!summary || (await this.#try(this.backend.deleteConversation(id).then(() => true))) !== true) return;
    this.list = this.list.filter((other) => other.id !== id);
    this.hits = this.hits?.filter((hit) => hit.conversation.id !== id) ?? null;
    this.deleted = summary;
    clearTimeout(this.#undoTimer);
    this.#undoTimer = setTimeout(() => (this.deleted = null), UNDO_MS);
    if (this.current.id === id) await this.open(this.list[at]?.id ?? this.list[at - 1]?.id ?? null);
  }

  /** Takes the last deletion back, and shows what came back. */
  async undo(): Promise<void> {
    const { deleted } = this;
    if (!deleted) return;
    clearTimeout(this.#undoTimer);
    this.deleted = null;
    const summary = await this.#try(this.backend.restoreConversation(deleted.id));
    if (!summary) return;
    this.put(summary);
    await this.open(summary.id);
  }

  async export(id: number, format: ExportFormat, words: ExportWords): Promise<void> {
    const name = await this.#try(this.backend.exportConversation(id, format, words));
    if (!name) return;
    this.exported = name;
    clearTimeout(this.#exportedTimer);
    this.#exportedTimer = setTimeout(() => (this.exported = null), EXPORTED_MS);
  }

  dismissNotices(): void {
    this.notices = [];
    void this.backend.dismissStoreNotices().catch(() => undefined);
  }

  /** Takes a conversation into the list, in its place by time. */
  put(summary: ConversationSummary): void {
    this.#heard?.push(summary);
    this.#place(summary);
  }

  #place(summary: ConversationSummary): void {
    if (this.deleted?.id === summary.id) return;
    const others = this.list.filter(({ id }) => id !== summary.id);
    const at = others.findIndex(({ updated_ms }) => updated_ms <= summary.updated_ms);
    this.list = at === -1 ? [...others, summary] : others.toSpliced(at, 0, summary);
    if (summary.id === this.current.id) this.current.title = summary.title;
  }

  #hear(notices: StoreNotice[]): void {
    this.#told = true;
    this.notices = notices;
    void this.#load();
  }

  #said(summary: ConversationSummary, isNew: boolean): void {
    if (isNew) this.#newDraft = "";
    this.put(summary);
  }

  async #search(query: string): Promise<void> {
    const hits = await this.#try(this.backend.searchConversations(query));
    // An answer to an older query must not replace a newer one.
    if (hits && query === this.#query) this.hits = hits;
  }

  async #try<T>(call: Promise<T>): Promise<T | undefined> {
    try {
      const result = await call;
      this.problem = null;
      return result;
    } catch (reason) {
      this.problem = toProblem(reason);
      return undefined;
    }
  }
}
