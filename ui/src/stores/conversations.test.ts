import { beforeEach, describe, expect, it, vi } from "vitest";
import type { StoreNotice } from "../ipc/wire";
import { FakeBackend, atOnce, done, message, settle, summary, token, view } from "../test/backend";
import { Conversations, UNDO_MS } from "./conversations.svelte";

let backend: FakeBackend;
let conversations: Conversations;

beforeEach(async () => {
  backend = new FakeBackend();
  backend.chat = {
    conversations: [summary(3), summary(2), summary(1)],
    open: view(2, [message(20, "user", "Two")]),
    draft: "a new one",
    notices: [],
  };
  conversations = new Conversations(backend, atOnce);
  await conversations.follow();
});

const ids = () => conversations.list.map(({ id }) => id);

describe("the conversations", () => {
  it("come back with the one that was open last", () => {
    expect(ids()).toEqual([3, 2, 1]);
    expect(conversations.current).toMatchObject({ id: 2 });
    expect(conversations.current.turns).toHaveLength(1);
  });

  it("keep the draft of the next new one", async () => {
    await conversations.open(null);
    expect(conversations.current.draft).toBe("a new one");
    conversations.current.draft = "a newer one";
    await conversations.open(1);
    expect(backend.drafts).toEqual([[null, "a newer one"]]);
    await conversations.open(null);
    expect(conversations.current.draft).toBe("a newer one");
  });

  it("take a new one up at the top, and the next new one begins empty", async () => {
    await conversations.open(null);
    conversations.current.draft = "Hello?";
    conversations.current.send();
    await settle();
    backend.emit(token("Yes."), done());
    backend.changeConversation(summary(9, { updated_ms: 99, title: "Hello?" }));
    expect(ids()[0]).toBe(9);
    await conversations.open(null);
    expect(conversations.current.draft).toBe("");
  });

  it("open the one clicked last when answers come late", async () => {
    let answer: (opened: ReturnType<typeof view>) => void = () => undefined;
    const slow = new Promise<ReturnType<typeof view>>((resolve) => (answer = resolve));
    backend.openConversation = (id) => (id === 1 ? slow : Promise.resolve(view(id ?? 0)));
    const first = conversations.open(1);
    await conversations.open(3);
    answer(view(1));
    await first;
    expect(conversations.current.id).toBe(3);
  });

  it("are walked through in their order", async () => {
    await conversations.openBeside(1);
    expect(conversations.current.id).toBe(1);
    await conversations.openBeside(1);
    expect(conversations.current.id).toBe(1);
    await conversations.openBeside(-1);
    expect(conversations.current.id).toBe(2);
  });

  it("lose a deleted one, show the next, and get it back", async () => {
    await conversations.remove(2);
    expect(ids()).toEqual([3, 1]);
    expect(conversations.current.id).toBe(1);
    expect(conversations.deleted?.id).toBe(2);
    backend.restoreConversation = async (id) => summary(id);
    await conversations.undo();
    expect(ids()).toEqual([3, 2, 1]);
    expect(conversations.current.id).toBe(2);
    expect(conversations.deleted).toBeNull();
  });

  it("offer to take a deletion back for a while", async () => {
    vi.useFakeTimers();
    await conversations.remove(3);
    vi.advanceTimersByTime(UNDO_MS - 1);
    expect(conversations.deleted).not.toBeNull();
    vi.advanceTimersByTime(1);
    expect(conversations.deleted).toBeNull();
    vi.useRealTimers();
  });

  it("keep one that could not be deleted, and say why", async () => {
    backend.failure = { code: "store_failed", message: "" };
    await conversations.remove(3);
    expect(ids()).toEqual([3, 2, 1]);
    expect(conversations.problem?.code).toBe("store_failed");
  });

  it("are searched once the typing pauses, and an answer to an older query is dropped", async () => {
    vi.useFakeTimers();
    const queries: string[] = [];
    const hit = { conversation: summary(1), title: [], message: null, snippet: [] };
    backend.searchConversations = async (query?: string) => {
      queries.push(query ?? "");
      return [hit];
    };
    conversations.query = "g";
    conversations.query = "gp";
    await vi.runAllTimersAsync();
    expect(queries).toEqual(["gp"]);
    expect(conversations.hits).toHaveLength(1);
    conversations.query = "";
    expect(conversations.hits).toBeNull();
    vi.useRealTimers();
  });

  it("open what was found at the message that holds it", async () => {
    backend.views.set(1, view(1, [message(10, "user", "One")]));
    await conversations.openHit({ conversation: summary(1), title: [], message: 10, snippet: [] });
    expect(conversations.current).toMatchObject({ id: 1, sought: 10 });
  });

  it("keep what was heard while the list was on its way", async () => {
    const { chat } = backend;
    backend.chatSnapshot = async () => {
      backend.changeConversation(summary(1, { updated_ms: 99, answering: true }));
      backend.changeConversation(summary(7, { updated_ms: 98 }));
      return chat;
    };
    const loading = new Conversations(backend, atOnce);
    await loading.follow();
    expect(loading.list.map(({ id }) => id)).toEqual([1, 7, 3, 2]);
    expect(loading.list[0]?.answering).toBe(true);
  });

  it("tell what there is to know of the store, the last news last", async () => {
    const restored: StoreNotice = { type: "restored", backup_ms: 0, kept_as: "old.db" };
    const broken: StoreNotice = { type: "not_kept", details: "read-only" };
    const { chat } = backend;
    const loading = new Conversations(backend, atOnce);
    backend.chatSnapshot = async () => {
      if (loading.notices.length === 0) backend.changeStore(broken);
      return { ...chat, notices: [restored] };
    };
    const stop = await loading.follow();
    expect(loading.notices).toEqual([broken]);
    backend.chatSnapshot = async () => chat;
    backend.changeStore();
    expect(loading.notices).toEqual([]);
    backend.changeStore(restored, broken);
    expect(loading.notices).toEqual([restored, broken]);
    let dismissed = 0;
    backend.dismissStoreNotices = async () => void (dismissed += 1);
    loading.dismissNotices();
    expect(loading.notices).toEqual([]);
    expect(dismissed).toBe(1);
    stop();
    backend.changeStore(broken);
    expect(loading.notices).toEqual([]);
  });

  it("are asked for again when the store changes, what is shown stays, and what was heard meanwhile is newer", async () => {
    conversations.current.draft = "begun";
    let answer: (chat: typeof backend.chat) => void = () => undefined;
    backend.chatSnapshot = () => new Promise((resolve) => (answer = resolve));
    backend.changeStore({ type: "in_use" });
    backend.changeConversation(summary(9, { updated_ms: 99 }));
    answer({ ...backend.chat, conversations: [summary(2), summary(1)], open: view(1) });
    await settle();
    expect(ids()).toEqual([9, 2, 1]);
    expect(conversations.current).toMatchObject({ id: 2, draft: "begun" });
    // What was heard then is old by now: the store has the last word.
    backend.changeStore({ type: "saved" });
    answer({ ...backend.chat, conversations: [summary(1)] });
    await settle();
    expect(ids()).toEqual([1]);
  });

  it("are asked for once more when the store changes while they are on their way", async () => {
    const answers: ((chat: typeof backend.chat) => void)[] = [];
    backend.chatSnapshot = () => new Promise((resolve) => answers.push(resolve));
    backend.changeStore({ type: "in_use" });
    backend.changeStore({ type: "in_use" }, { type: "saved" });
    backend.changeStore({ type: "saved" });
    expect(answers).toHaveLength(1);
    answers[0]?.({ ...backend.chat, conversations: [summary(1)] });
    await settle();
    expect(answers).toHaveLength(2);
    answers[1]?.({ ...backend.chat, conversations: [summary(8), summary(1)] });
    await settle();
    expect(ids()).toEqual([8, 1]);
    expect(answers).toHaveLength(2);
  });

  it("do not come back deleted, and stay as they are where they cannot be asked for", async () => {
    await conversations.remove(3);
    backend.changeStore({ type: "saved" });
    await settle();
    expect(ids()).toEqual([2, 1]);
    backend.failure = { code: "store_failed", message: "" };
    backend.changeStore({ type: "not_saved", details: "full" });
    await settle();
    expect(ids()).toEqual([2, 1]);
    expect(conversations.problem?.code).toBe("store_failed");
  });

  it("are loaded once the store is told of before they are asked for", async () => {
    const loading = new Conversations(backend, atOnce);
    const { onConversationChanged } = backend;
    backend.onConversationChanged = async (callback) => {
      await settle();
      backend.changeStore({ type: "saved" });
      return onConversationChanged(callback);
    };
    await loading.follow();
    await settle();
    expect(loading).toMatchObject({ loaded: true, notices: [{ type: "saved" }] });
    expect(loading.current.id).toBe(2);
  });

  it("keep what the user did while the list was on its way", async () => {
    const { chat } = backend;
    backend.views.set(3, view(3));
    const loading = new Conversations(backend, atOnce);
    backend.chatSnapshot = async () => {
      await loading.open(3);
      return chat;
    };
    await loading.follow();
    expect(loading.current.id).toBe(3);
  });

  it("are not listened to any more once that was stopped, even where they could not be loaded", async () => {
    backend.chatSnapshot = () => Promise.reject({ code: "store_failed", message: "" });
    const broken = new Conversations(backend, atOnce);
    const stop = await broken.follow();
    backend.changeConversation(summary(5));
    expect(broken.list.map(({ id }) => id)).toEqual([5]);
    stop();
    backend.changeConversation(summary(6));
    expect(broken.list.map(({ id }) => id)).toEqual([5]);
  });

  it("tell why they could not be loaded", async () => {
    backend.failure = { code: "store_failed", message: "" };
    const broken = new Conversations(backend, atOnce);
    await broken.follow();
    expect(broken).toMatchObject({ loaded: true });
    expect(broken.problem?.code).toBe("store_failed");
  });
});
