import { describe, expect, it } from "vitest";
import type { AnswerEvent, ChatEvent } from "../ipc/wire";
import { atOnce, done, message, switched, token } from "../test/backend";
import { Answer, type Scheduler } from "./answer.svelte";

const crash = { type: "failed", code: "worker_crashed", message: "The process ended with SIGSEGV." } as const;

function begun(schedule: Scheduler = atOnce) {
  const answer = new Answer(1, null, schedule);
  const hear = (...events: AnswerEvent[]) => events.forEach((event) => answer.apply({ type: "answer", event }));
  return { answer, hear };
}

describe("an answer", () => {
  it("grows with its tokens and ends with its figures", () => {
    const { answer, hear } = begun();
    hear(token("Hello"), token(" there"));
    expect(answer).toMatchObject({ text: "Hello there", state: "streaming", profile: "cpu_fallback", tokens: 2 });
    hear(done({ tokens: 2 }));
    expect(answer).toMatchObject({ state: "done", stop: "end" });
    expect(answer.stats?.tokens).toBe(2);
  });

  it("shows all tokens of one frame together", () => {
    const frames: (() => void)[] = [];
    const { answer, hear } = begun((flush) => frames.push(flush));
    hear(...["a", "b", "", "c"].map((text) => token(text)));
    expect(answer.text).toBe("");
    expect(frames).toHaveLength(1);
    frames[0]?.();
    expect(answer).toMatchObject({ text: "abc", tokens: 4 });
  });

  it("shows what still waits for a frame when it ends", () => {
    const { answer, hear } = begun(() => undefined);
    hear(token("last words"), crash);
    expect(answer.text).toBe("last words");
  });

  it("goes on through changes of profile and remembers where in the text they fell", () => {
    const { answer, hear } = begun();
    hear(token("Once"));
    answer.apply(switched("cpu_fallback", 4));
    hear(token(" more"));
    expect(answer).toMatchObject({ text: "Once more", state: "streaming" });
    expect(answer.switches).toMatchObject([{ at_text: 4, switch: { to: "cpu_fallback" } }]);
  });

  it("that was left is taken up where it is, whatever was heard before", () => {
    const { answer, hear } = begun();
    hear(token("Ha"));
    const kept: ChatEvent = { type: "snapshot", message: message(7, "assistant", "Half", { state: "streaming" }) };
    answer.apply(kept);
    hear(token(" and half"), done());
    expect(answer).toMatchObject({ id: 7, text: "Half and half", state: "done" });
  });

  it("that is kept comes back with all that was said of it", () => {
    const stats = done({ stop: "context" });
    const record = { model: "Smol", profile: "balanced", stats, switches: [], dropped_turns: 2, problem: null } as const;
    const answer = new Answer(1, message(7, "assistant", "Kept.", { siblings: [6, 7], answer: { ...record, switches: [] } as never }));
    expect(answer).toMatchObject({ text: "Kept.", state: "done", stop: "context", model: "Smol", droppedTurns: 2, siblings: [6, 7] });
  });

  it("knows how much of the prompt is read and how many turns were left out", () => {
    const { answer, hear } = begun();
    hear({ type: "prompt", done: 128, total: 512, dropped_turns: 2 });
    expect(answer.prompt).toMatchObject({ done: 128, total: 512 });
    expect(answer.droppedTurns).toBe(2);
  });

  it("keeps its text when it fails", () => {
    const { answer, hear } = begun();
    hear(token("so far"), crash);
    expect(answer).toMatchObject({ text: "so far", state: "failed" });
    expect(answer.problem?.code).toBe("worker_crashed");
  });

  it("is silent until it resumes", () => {
    const { answer, hear } = begun();
    hear({ type: "silent" });
    expect(answer.silent).toBe(true);
    hear({ type: "resumed" });
    expect(answer.silent).toBe(false);
  });

  it("is no longer silent once a token comes or it fails", () => {
    const { answer, hear } = begun();
    hear({ type: "silent" }, token("x"));
    expect(answer.silent).toBe(false);
    hear({ type: "silent" }, crash);
    expect(answer.silent).toBe(false);
  });

  it("counts a cancelled load as stopped, not as an error", () => {
    const { answer, hear } = begun();
    hear({ type: "failed", code: "cancelled", message: "" });
    expect(answer).toMatchObject({ state: "stopped", stop: "cancelled", problem: null });
  });

  it("ignores what comes after its end", () => {
    const { answer, hear } = begun();
    hear(done(), token("late"), crash);
    expect(answer).toMatchObject({ state: "done", text: "", problem: null });
  });
});
