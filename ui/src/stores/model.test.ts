import { describe, expect, it } from "vitest";
import { FakeBackend, snapshot } from "../test/backend";
import { ModelStore } from "./model.svelte";

describe("the model store", () => {
  it("begins with the snapshot and follows every change", async () => {
    const backend = new FakeBackend();
    const store = new ModelStore(backend);
    const stop = await store.follow();
    expect(store.snapshot?.state).toBe("ready");
    backend.changeModel(snapshot({ state: "generating" }));
    expect(store.snapshot?.state).toBe("generating");
    stop();
    backend.changeModel(snapshot({ state: "stopped" }));
    expect(store.snapshot?.state).toBe("generating");
  });

  it("keeps a change that came while the snapshot was on its way", async () => {
    const backend = new FakeBackend();
    const store = new ModelStore(backend);
    backend.snapshot = async () => {
      backend.changeModel(snapshot({ state: "ready" }));
      return { version: "0.1.0", model: snapshot({ state: "loading", load_fraction: 0.9 }) };
    };
    await store.follow();
    expect(store.snapshot?.state).toBe("ready");
  });

  it("says why there is no model to talk to", async () => {
    const backend = new FakeBackend();
    backend.model = snapshot({ state: "failed", problem: { code: "model_missing", message: "No such file." } });
    const store = new ModelStore(backend);
    await store.follow();
    expect(store.problem?.code).toBe("model_missing");
    backend.changeModel(snapshot());
    expect(store.problem).toBeNull();
  });

  it("says so when the core cannot be asked", async () => {
    const backend = new FakeBackend();
    backend.failure = "no such command";
    const store = new ModelStore(backend);
    await store.follow();
    expect(store.problem).toMatchObject({ code: "protocol", details: "no such command" });
  });

  it("follows changes where there was no snapshot, until it is told to stop", async () => {
    const backend = new FakeBackend();
    backend.failure = "no such command";
    const store = new ModelStore(backend);
    const stop = await store.follow();
    backend.changeModel(snapshot({ state: "generating" }));
    expect(store).toMatchObject({ problem: null, snapshot: { state: "generating" } });
    stop();
    backend.changeModel(snapshot({ state: "stopped" }));
    expect(store.snapshot?.state).toBe("generating");
  });
});
