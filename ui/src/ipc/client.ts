// The one place that talks to the Rust side. Everything else sees the `Backend` interface.

import { Channel, invoke } from "@tauri-apps/api/core";
import { listen } from "@tauri-apps/api/event";
import {
  CONVERSATION_CHANGED,
  MODEL_CHANGED,
  STORE_CHANGED,
  type AppSnapshot,
  type Asked,
  type ChatEvent,
  type ChatSnapshot,
  type ConversationSettings,
  type ConversationSummary,
  type ConversationView,
  type ExportFormat,
  type ExportWords,
  type ModelView,
  type SearchHit,
  type StoreNotice,
} from "./wire";

/** Hears what happens to an answer, in order: a snapshot first, one `done` or `failed` last. */
export type OnChatEvent = (event: ChatEvent) => void;

/** What the Rust side does for the window. A rejected promise carries a `Problem`. */
export interface Backend {
  /** The state of the model, now. */
  snapshot(): Promise<AppSnapshot>;
  /** The conversations, and the one that was open last. */
  chatSnapshot(): Promise<ChatSnapshot>;
  /** A conversation, which is the open one from now on; null is the one that does not exist yet. */
  openConversation(id: number | null): Promise<ConversationView | null>;
  renameConversation(id: number, title: string): Promise<ConversationSummary>;
  /** Deletes; `restoreConversation` takes it back until Workly starts anew. */
  deleteConversation(id: number): Promise<void>;
  restoreConversation(id: number): Promise<ConversationSummary>;
  searchConversations(query: string): Promise<SearchHit[]>;
  /** Asks for a place and writes there; resolves with the file's name, or null where the user cancelled. */
  exportConversation(id: number, format: ExportFormat, words: ExportWords): Promise<string | null>;
  /** Resolves with the conversation, which is created where there was none. */
  setConversationSettings(id: number | null, settings: ConversationSettings): Promise<ConversationSummary>;
  saveDraft(conversation: number | null, draft: string): Promise<void>;
  /** Shows the branch that holds a message. */
  chooseBranch(message: number): Promise<ConversationView>;
  /** Asks at the end of a conversation, or in a new one; resolves once the question is kept. */
  ask(conversation: number | null, text: string, onEvent: OnChatEvent): Promise<Asked>;
  /** Asks for another answer beside the given one. */
  regenerate(conversation: number, message: number, onEvent: OnChatEvent): Promise<Asked>;
  /** Asks a question in other words, beside the first one. */
  edit(conversation: number, message: number, text: string, onEvent: OnChatEvent): Promise<Asked>;
  /** Follows the answer being written in a conversation; resolves with whether there is one. */
  watch(conversation: number, onEvent: OnChatEvent): Promise<boolean>;
  /** Stops the answer being written in a conversation; it then ends with `done` and stop `cancelled`. */
  stop(conversation: number): Promise<void>;
  /** The user has read all that was told of the store. */
  dismissStoreNotices(): Promise<void>;
  /** Opens an http, https or mailto address in the system's browser. */
  openLink(url: string): Promise<void>;
  /** Calls back at each change of the model; resolves once it listens. Returns the way to stop listening. */
  onModelChanged(callback: (model: ModelView) => void): Promise<() => void>;
  /** Calls back whenever a conversation begins or ends an answer. */
  onConversationChanged(callback: (conversation: ConversationSummary) => void): Promise<() => void>;
  /** Calls back with all there is to know of the store, whenever that changes; the conversations may be others then. */
  onStoreChanged(callback: (notices: StoreNotice[]) => void): Promise<() => void>;
}

export const backend: Backend = {
  snapshot: () => invoke("snapshot"),
  chatSnapshot: () => invoke("chat_snapshot"),
  openConversation: (id) => invoke("open_conversation", { id }),
  renameConversation: (id, title) => invoke("rename_conversation", { id, title }),
  deleteConversation: (id) => invoke("delete_conversation", { id }),
  restoreConversation: (id) => invoke("restore_conversation", { id }),
  searchConversations: (query) => invoke("search_conversations", { query }),
  exportConversation: (id, format, words) => invoke("export_conversation", { id, format, words }),
  setConversationSettings: (id, settings) => invoke("set_conversation_settings", { id, settings }),
  saveDraft: (conversation, draft) => invoke("save_draft", { conversation, draft }),
  chooseBranch: (message) => invoke("choose_branch", { message }),
  ask: (conversation, text, onEvent) => invoke("ask", { conversation, text, events: new Channel(onEvent) }),
  regenerate: (conversation, message, onEvent) =>
    invoke("regenerate", { conversation, message, events: new Channel(onEvent) }),
  edit: (conversation, message, text, onEvent) =>
    invoke("edit", { conversation, message, text, events: new Channel(onEvent) }),
  watch: (conversation, onEvent) => invoke("watch", { conversation, events: new Channel(onEvent) }),
  stop: (conversation) => invoke("stop", { conversation }),
  dismissStoreNotices: () => invoke("dismiss_store_notice"),
  openLink: (url) => invoke("open_link", { url }),
  onModelChanged: (callback) => listen<ModelView>(MODEL_CHANGED, (event) => callback(event.payload)),
  onConversationChanged: (callback) =>
    listen<ConversationSummary>(CONVERSATION_CHANGED, (event) => callback(event.payload)),
  onStoreChanged: (callback) => listen<StoreNotice[]>(STORE_CHANGED, (event) => callback(event.payload)),
};
