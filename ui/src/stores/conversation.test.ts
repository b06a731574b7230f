import { beforeEach, describe, expect, it, vi } from "vitest";
import { FakeBackend, atOnce, done, message, settle, token, view } from "../test/backend";
import { Answer } from "./answer.svelte";
import { Conversation, Question } from "./conversation.svelte";

let backend: FakeBackend;
let conversation: Conversation;

beforeEach(() => {
  backend = new FakeBackend();
  conversation = new Conversation(backend, undefined, atOnce);
});

async function ask(text: string): Promise<void> {
  conversation.draft = text;
  conversation.send();
  await settle();
}

function question(at: number): Question {
  const turn = conversation.turns[at];
  if (!(turn instanceof Question)) throw new Error(`turn ${at} is no question`);
  return turn;
}

function answer(at: number): Answer {
  const turn = conversation.turns[at];
  if (!(turn instanceof Answer)) throw new Error(`turn ${at} is no answer`);
  return turn;
}

describe("a conversation", () => {
  it("begins with the first message and goes on in the same place", async () => {
    await ask("  First?  ");
    backend.emit(token("Yes."), done());
    await ask("Second?");
    expect(conversation.draft).toBe("");
    expect(backend.asked).toEqual(["ask null First?", "ask 1 Second?"]);
    expect(conversation.turns).toHaveLength(4);
  });

  it("sends no blank draft", async () => {
    await ask(" \n ");
    expect(conversation.turns).toHaveLength(0);
    expect(backend.asked).toHaveLength(0);
  });

  it("keeps a draft that is sent while an answer is being written", async () => {
    await ask("One?");
    await ask("Two?");
    expect(conversation.draft).toBe("Two?");
    expect(backend.asked).toHaveLength(1);
  });

  it("shows a refused question as a failed answer, and asks it again", async () => {
    backend.refusal = { code: "store_failed", message: "The disk is full." };
    await ask("One?");
    expect(conversation.last).toMatchObject({ state: "failed" });
    expect(conversation.last?.problem?.code).toBe("store_failed");
    backend.refusal = null;
    conversation.retry();
    await settle();
    backend.emit(token("Here."), done());
    expect(backend.asked).toEqual(["ask null One?", "ask null One?"]);
    expect(conversation.turns).toHaveLength(2);
    expect(conversation.last).toMatchObject({ state: "done", text: "Here." });
  });

  it("shows a rejection that is no problem as an internal error with its words", async () => {
    backend.refusal = "command ask not found";
    await ask("One?");
    expect(conversation.last?.problem).toMatchObject({ code: "protocol", details: "command ask not found" });
  });

  it("asks again in place of an answer that failed", async () => {
    await ask("One?");
    const { id } = answer(1);
    backend.emit(token("Half"), { type: "failed", code: "worker_crashed", message: "" });
    conversation.retry();
    await settle();
    expect(conversation.turns).toHaveLength(2);
    expect(backend.asked.at(-1)).toBe(`regenerate 1 ${id}`);
  });

  it("retries nothing that did not fail", async () => {
    await ask("One?");
    backend.emit(done());
    conversation.retry();
    await settle();
    expect(backend.asked).toHaveLength(1);
  });

  it("asks for another answer and leaves what followed the old one", async () => {
    await ask("One?");
    backend.emit(done());
    await ask("Two?");
    backend.emit(done());
    const { id } = answer(1);
    conversation.regenerate(answer(1));
    await settle();
    expect(backend.asked.at(-1)).toBe(`regenerate 1 ${id}`);
    expect(conversation.turns.map(({ role }) => role)).toEqual(["user", "assistant"]);
  });

  it("says a question in other words and leaves what followed it", async () => {
    await ask("One?");
    backend.emit(done());
    const { id } = question(0);
    conversation.edit(question(0), "  Uno?  ");
    await settle();
    expect(backend.asked.at(-1)).toBe(`edit 1 ${id} Uno?`);
    expect(question(0).text).toBe("Uno?");
    expect(conversation.last?.streaming).toBe(true);
  });

  it("changes nothing while an answer is being written", async () => {
    await ask("One?");
    conversation.edit(question(0), "Uno?");
    conversation.regenerate(answer(1));
    await conversation.chooseBeside(answer(1), -1);
    expect(backend.asked).toHaveLength(1);
  });

  it("shows the version beside a message, and keeps the turns that are in both", async () => {
    const [asked, first] = [message(1, "user", "One?"), message(2, "assistant", "1", { siblings: [2, 3] })];
    const second = message(3, "assistant", "one", { siblings: [2, 3] });
    backend.views.set(9, view(9, [asked, second]));
    conversation.show(view(9, [asked, first]));
    const kept = conversation.turns[0];
    await conversation.chooseBeside(answer(1), 1);
    expect(answer(1)).toMatchObject({ id: 3, text: "one" });
    expect(conversation.turns[0]).toBe(kept);
    await conversation.chooseBeside(answer(1), 1);
    expect(answer(1).id, "there is no further one").toBe(3);
  });

  it("watches an answer that is being written when it is opened", async () => {
    conversation.show(view(4, [message(1, "user", "One?"), message(2, "assistant", "Ha", { state: "streaming" })]));
    expect(backend.watched).toEqual([4]);
    backend.emit({ type: "snapshot", message: message(2, "assistant", "Half", { state: "streaming" }) }, token(" and half"), done());
    expect(conversation.last).toMatchObject({ text: "Half and half", state: "done" });
  });

  it("watches an answer once, however often it is come back to", async () => {
    const opened = () => view(4, [message(1, "user", "One?"), message(2, "assistant", "Ha", { state: "streaming" })]);
    for (let visit = 0; visit < 3; visit += 1) {
      conversation.show(opened());
      await settle();
      if (visit === 0) backend.emit({ type: "snapshot", message: message(2, "assistant", "Half", { state: "streaming" }) });
      conversation.show(view(5));
    }
    backend.emit(token(" and half"));
    conversation.show(opened());
    await settle();
    expect(backend.watched).toEqual([4]);
    backend.emit(done());
    expect(conversation.last).toMatchObject({ text: "Half and half", state: "done" });
  });

  it("goes on hearing an answer that was asked for here when it is come back to", async () => {
    await ask("One?");
    const { id } = answer(1);
    backend.emit(token("Half"));
    conversation.show(view(5));
    backend.emit(token(" and half"));
    conversation.show(view(1, [message(90, "user", "One?"), message(id ?? 0, "assistant", "Ha", { state: "streaming" })]));
    await settle();
    expect(backend.watched).toEqual([]);
    expect(conversation.last).toMatchObject({ text: "Half and half", state: "streaming" });
    backend.emit(done());
    expect(conversation.last).toMatchObject({ text: "Half and half", state: "done" });
  });

  it("goes on hearing an answer that it was shown with before the store had told of it", async () => {
    backend.watch = async () => false;
    backend.views.set(1, view(1, [message(101, "assistant", "", { state: "streaming" })]));
    conversation.draft = "One?";
    conversation.send();
    conversation.show(view(5));
    conversation.show(view(1, [message(100, "user", "One?"), message(101, "assistant", "", { state: "streaming" })]));
    await settle();
    backend.emit(token("Here."), done());
    expect(conversation.last).toMatchObject({ id: 101, text: "Here.", state: "done" });
    expect(conversation.turns).toHaveLength(2);
  });

  it("reads an answer again that ended before it could be watched", async () => {
    const asked = message(1, "user", "One?");
    backend.watch = async () => false;
    backend.views.set(4, view(4, [asked, message(2, "assistant", "Whole.")]));
    conversation.show(view(4, [asked, message(2, "assistant", "Wh", { state: "streaming" })]));
    await settle();
    expect(conversation.last).toMatchObject({ text: "Whole.", state: "done" });
  });

  it("asks for a stop once and shows that it waits for it", async () => {
    await ask("One?");
    await Promise.all([conversation.stop(), conversation.stop()]);
    expect(backend.stopped).toEqual([1]);
    expect(conversation.stopping).toBe(true);
    backend.emit(done({ stop: "cancelled" }));
    expect(conversation.stopping).toBe(false);
    expect(conversation.last).toMatchObject({ state: "stopped", stop: "cancelled" });
  });

  it("stops an answer that the store did not know yet as soon as it does", async () => {
    conversation.draft = "One?";
    conversation.send();
    void conversation.stop();
    expect(backend.stopped).toEqual([]);
    await settle();
    expect(backend.stopped).toEqual([1]);
  });

  it("lets the user ask for a stop again when the first one failed", async () => {
    await ask("One?");
    backend.failure = "the core is busy";
    await conversation.stop();
    expect(conversation.stopping).toBe(false);
    await conversation.stop();
    expect(backend.stopped).toHaveLength(2);
  });

  it("does not stop what is not running", async () => {
    await conversation.stop();
    expect(backend.stopped).toEqual([]);
  });

  it("leaves an answer to itself when another conversation is shown", async () => {
    await ask("One?");
    conversation.show(view(5, [message(8, "user", "Elsewhere")]));
    backend.emit(token("late"), done());
    expect(conversation.turns).toHaveLength(1);
    expect(conversation.id).toBe(5);
  });

  it("keeps a draft a moment after the last key, and at once when it is left", async () => {
    vi.useFakeTimers();
    conversation.show(view(3));
    conversation.draft = "a";
    conversation.draft = "ab";
    expect(backend.drafts).toEqual([]);
    vi.runAllTimers();
    expect(backend.drafts).toEqual([[3, "ab"]]);
    conversation.draft = "abc";
    conversation.show(null);
    expect(backend.drafts).toEqual([[3, "ab"], [3, "abc"]]);
    vi.useRealTimers();
  });

  it("puts settings back that could not be kept", async () => {
    backend.failure = { code: "store_failed", message: "" };
    await conversation.setSettings({ ...conversation.settings, temperature: 1 });
    expect(conversation.settings.temperature).toBeNull();
    expect(conversation.problem?.code).toBe("store_failed");
  });

  it("knows how much of the context it takes", async () => {
    expect(conversation.tokensUsed).toBeNull();
    await ask("One?");
    backend.emit({ type: "prompt", done: 40, total: 40, dropped_turns: 0 }, token("a"));
    expect(conversation.tokensUsed).toBe(41);
    backend.emit(done({ prompt_tokens: 40, tokens: 12 }));
    expect(conversation.tokensUsed).toBe(52);
  });
});
