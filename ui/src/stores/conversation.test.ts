import { beforeEach, describe, expect, it } from "vitest";
import { FakeBackend, atOnce, done, settle, token } from "../test/backend";
import { Conversation, toMessages } from "./conversation.svelte";

let backend: FakeBackend;
let conversation: Conversation;

beforeEach(() => {
  backend = new FakeBackend();
  conversation = new Conversation(backend, atOnce);
});

async function ask(text: string): Promise<void> {
  conversation.draft = text;
  conversation.send();
  await settle();
}

describe("a conversation", () => {
  it("sends the draft with everything said before", async () => {
    await ask("  First?  ");
    backend.emit(token("Yes."), done());
    await ask("Second?");
    expect(conversation.draft).toBe("");
    expect(backend.requests.at(-1)?.messages).toEqual([
      { role: "user", content: "First?" },
      { role: "assistant", content: "Yes." },
      { role: "user", content: "Second?" },
    ]);
  });

  it("sends no blank draft", async () => {
    await ask(" \n ");
    expect(conversation.turns).toHaveLength(0);
    expect(backend.requests).toHaveLength(0);
  });

  it("keeps a draft that is sent while an answer is being written", async () => {
    await ask("One?");
    await ask("Two?");
    expect(conversation.draft).toBe("Two?");
    expect(backend.requests).toHaveLength(1);
  });

  it("shows a refused question as a failed answer, and takes the next one", async () => {
    backend.refusal = { code: "no_model", message: "There is no model." };
    await ask("One?");
    expect(conversation.last).toMatchObject({ state: "failed" });
    expect(conversation.last?.problem?.code).toBe("no_model");
    backend.refusal = null;
    await ask("Two?");
    backend.emit(token("Here."), done());
    expect(conversation.last).toMatchObject({ state: "done", text: "Here." });
  });

  it("shows a rejection that is no problem as an internal error with its words", async () => {
    backend.refusal = "command answer not found";
    await ask("One?");
    expect(conversation.last?.problem).toMatchObject({ code: "protocol", details: "command answer not found" });
  });

  it("works again after the model's process died", async () => {
    await ask("One?");
    backend.emit(token("Half an"), { type: "failed", code: "worker_killed", message: "SIGKILL" });
    expect(conversation.answering).toBe(false);
    await ask("Two?");
    backend.emit(token("Whole."), done());
    expect(conversation.last).toMatchObject({ state: "done", text: "Whole." });
  });

  it("asks the last question again in place of the failed answer", async () => {
    await ask("One?");
    backend.emit(token("Half"), { type: "failed", code: "worker_crashed", message: "" });
    conversation.retry();
    await settle();
    expect(conversation.turns).toHaveLength(2);
    expect(backend.requests.at(-1)?.messages).toEqual([{ role: "user", content: "One?" }]);
  });

  it("retries nothing that did not fail", async () => {
    await ask("One?");
    backend.emit(done());
    conversation.retry();
    await settle();
    expect(backend.requests).toHaveLength(1);
  });

  it("asks for a stop once and shows that it waits for it", async () => {
    await ask("One?");
    await Promise.all([conversation.stop(), conversation.stop()]);
    expect(backend.stops).toBe(1);
    expect(conversation.stopping).toBe(true);
    backend.emit(done({ stop: "cancelled" }));
    expect(conversation.stopping).toBe(false);
    expect(conversation.last).toMatchObject({ state: "done", stop: "cancelled" });
  });

  it("lets the user ask for a stop again when the first one failed", async () => {
    await ask("One?");
    backend.failure = "the core is busy";
    await conversation.stop();
    expect(conversation.stopping).toBe(false);
    await conversation.stop();
    expect(backend.stops).toBe(2);
  });

  it("does not stop what is not running", async () => {
    await conversation.stop();
    expect(backend.stops).toBe(0);
  });

  it("starts anew at once, and asks only when the old answer has ended", async () => {
    await ask("Old?");
    conversation.draft = "a draft";
    conversation.startNew();
    expect(conversation.turns).toHaveLength(0);
    expect(conversation.draft).toBe("a draft");
    expect(backend.stops).toBe(1);
    await ask("New?");
    expect(backend.requests).toHaveLength(1);
    backend.emit(token("late"), done({ stop: "cancelled" }));
    await settle();
    expect(backend.requests).toHaveLength(2);
    expect(backend.requests[1]?.messages).toEqual([{ role: "user", content: "New?" }]);
    expect(conversation.last?.text).toBe("");
  });

  it("never asks a question that was stopped before its turn came", async () => {
    await ask("Old?");
    conversation.startNew();
    await ask("New?");
    await conversation.stop();
    backend.emit(done({ stop: "cancelled" }));
    await settle();
    expect(backend.requests).toHaveLength(1);
    expect(conversation.last).toMatchObject({ state: "done", stop: "cancelled" });
  });
});

describe("the messages for the model", () => {
  it("keep speakers taking turns when an answer never began", async () => {
    await ask("One?");
    backend.emit({ type: "failed", code: "load_failed", message: "" });
    await ask("Two?");
    expect(toMessages(conversation.turns)).toEqual([{ role: "user", content: "One?\n\nTwo?" }]);
  });

  it("keep what an answer said before it failed", async () => {
    await ask("One?");
    backend.emit(token("Half"), { type: "failed", code: "worker_crashed", message: "" });
    expect(toMessages(conversation.turns).at(-1)).toEqual({ role: "assistant", content: "Half" });
  });
});
