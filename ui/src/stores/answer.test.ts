import { describe, expect, it } from "vitest";
import { atOnce, done, token } from "../test/backend";
import { Answer } from "./answer.svelte";

const crash = { type: "failed", code: "worker_crashed", message: "The process ended with SIGSEGV." } as const;

describe("an answer", () => {
  it("grows with its tokens and ends with its figures", () => {
    const answer = new Answer(1, atOnce);
    answer.apply(token("Hello"));
    answer.apply(token(" there"));
    expect(answer).toMatchObject({ text: "Hello there", state: "streaming", profile: "cpu_fallback" });
    answer.apply(done({ tokens: 2 }));
    expect(answer).toMatchObject({ state: "done", stop: "end" });
    expect(answer.stats?.tokens).toBe(2);
  });

  it("shows all tokens of one frame together", () => {
    const frames: (() => void)[] = [];
    const answer = new Answer(1, (flush) => frames.push(flush));
    for (const text of ["a", "b", "", "c"]) answer.apply(token(text));
    expect(answer.text).toBe("");
    expect(frames).toHaveLength(1);
    frames[0]?.();
    expect(answer.text).toBe("abc");
  });

  it("shows what still waits for a frame when it ends", () => {
    const answer = new Answer(1, () => undefined);
    answer.apply(token("last words"));
    answer.apply(crash);
    expect(answer.text).toBe("last words");
  });

  it("goes on through changes of profile and remembers where they fell", () => {
    const answer = new Answer(1, atOnce);
    const moved = { from: "performance", to: "cpu_fallback", reason: "overload", strategy: "standby" } as const;
    answer.apply(token("Once"));
    answer.apply({ type: "switched", ...moved, at_token: 1, gap_ms: 20, vram_released_ms: 200, state_bytes: null, saved_in_ms: null, restored_in_ms: null });
    answer.apply(token(" more"));
    expect(answer).toMatchObject({ text: "Once more", state: "streaming" });
    expect(answer.switches).toMatchObject([{ to: "cpu_fallback", at_token: 1 }]);
  });

  it("knows how much of the prompt is read and how many turns were left out", () => {
    const answer = new Answer(1, atOnce);
    answer.apply({ type: "prompt", done: 128, total: 512, dropped_turns: 2 });
    expect(answer.prompt).toMatchObject({ done: 128, total: 512 });
    expect(answer.droppedTurns).toBe(2);
  });

  it("keeps its text when it fails", () => {
    const answer = new Answer(1, atOnce);
    answer.apply(token("so far"));
    answer.apply(crash);
    expect(answer).toMatchObject({ text: "so far", state: "failed" });
    expect(answer.problem?.code).toBe("worker_crashed");
  });

  it("is silent until it resumes", () => {
    const answer = new Answer(1, atOnce);
    answer.apply({ type: "silent", message: "no heartbeat for 2 s" });
    expect(answer.silent).toBe(true);
    answer.apply({ type: "resumed" });
    expect(answer.silent).toBe(false);
  });

  it("is no longer silent once a token comes or it fails", () => {
    const answer = new Answer(1, atOnce);
    answer.apply({ type: "silent", message: "" });
    answer.apply(token("x"));
    expect(answer.silent).toBe(false);
    answer.apply({ type: "silent", message: "" });
    answer.apply(crash);
    expect(answer.silent).toBe(false);
  });

  it("that was stopped is done, not failed", () => {
    const stopped = new Answer(1, atOnce);
    stopped.apply(done({ stop: "cancelled" }));
    expect(stopped).toMatchObject({ state: "done", stop: "cancelled" });
    const stoppedWhileLoading = new Answer(2, atOnce);
    stoppedWhileLoading.apply({ type: "failed", code: "cancelled", message: "" });
    expect(stoppedWhileLoading).toMatchObject({ state: "done", stop: "cancelled", problem: null });
  });

  it("ignores whatever comes after its end", () => {
    const answer = new Answer(1, atOnce);
    answer.apply(done());
    answer.apply(token("late"));
    answer.apply(crash);
    expect(answer).toMatchObject({ text: "", state: "done", problem: null });
  });
});
