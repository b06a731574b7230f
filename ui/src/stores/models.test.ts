import { describe, expect, it } from "vitest";
import { settle } from "../test/backend";
import { catalogueOf, FakeModels, fitOf, modelOf, transferOf } from "../test/models";
import { isFiltered, NO_FILTERS, onThisMachine, toFetch } from "./modelFilters";
import { ModelsStore } from "./models.svelte";

describe("the filters of models", () => {
  const card = modelOf("card");
  const part = modelOf("part", { source: "ollama", fit: fitOf({ verdict: "part_on_gpu" }) });
  const large = modelOf("large", { title: "Géant", source: "jan", fit: fitOf({ verdict: "too_large" }) });
  const broken = modelOf("broken", { facts: null, fit: null, problem: { code: "model_damaged", message: "It ends too early." } });
  const all = [card, part, large, broken];
  const found = (changes: Partial<typeof NO_FILTERS>) => onThisMachine(all, { ...NO_FILTERS, ...changes }).map(({ id }) => id);

  it("tell what fits the card, and what runs here, from what does not", () => {
    expect(found({})).toEqual(["card", "part", "large", "broken"]);
    expect(found({ fit: "card" })).toEqual(["card"]);
    expect(found({ fit: "runs" })).toEqual(["card", "part"]);
  });

  it("find every word wherever it stands, whatever its case and accents", () => {
    expect(found({ query: "geant" })).toEqual(["large"]);
    expect(found({ query: "q4_1 MODEL" })).toEqual(["card", "part"]);
    expect(found({ query: "broken.gguf" })).toEqual(["broken"]);
    expect(found({ query: "nowhere" })).toEqual([]);
  });

  it("keep models of this machine apart from those to fetch", () => {
    const listed = [catalogueOf("new"), catalogueOf("here", { installed: "card" })];
    const fetched = (changes: Partial<typeof NO_FILTERS>) => toFetch(listed, { ...NO_FILTERS, ...changes }).map(({ id }) => id);
    expect(fetched({})).toEqual(["new"]);
    expect(fetched({ place: "here" })).toEqual([]);
    expect(fetched({ source: "ollama" })).toEqual([]);
    expect(found({ place: "fetch" })).toEqual([]);
    expect(found({ source: "ollama" })).toEqual(["part"]);
    expect(isFiltered(NO_FILTERS)).toBe(false);
    expect(isFiltered({ ...NO_FILTERS, source: "jan" })).toBe(true);
  });
});

describe("the models", () => {
  async function open() {
    const backend = new FakeModels();
    const models = new ModelsStore(backend);
    const stop = await models.follow();
    return { backend, models, stop };
  }

  it("are followed where there was no snapshot, until that is stopped", async () => {
    const backend = new FakeModels();
    backend.library = () => Promise.reject({ code: "protocol", message: "" });
    backend.onTransfersChanged = () => Promise.reject({ code: "protocol", message: "" });
    const models = new ModelsStore(backend);
    const stop = await models.follow();
    expect(models.problem?.code).toBe("protocol");
    backend.change({ models: [modelOf("a")] });
    backend.drag({ phase: "over", models: 2, problem: null });
    expect(models).toMatchObject({ dragged: 2, library: { models: [{ id: "a" }] } });
    stop();
    backend.change({ models: [] });
    expect(models.library?.models).toHaveLength(1);
  });

  it("are used at once where they fit, and after a question where they do not", async () => {
    const { backend, models } = await open();
    await models.use(modelOf("a"));
    expect(backend.asked).toEqual(["use a"]);
    const large = modelOf("b", { fit: fitOf({ verdict: "too_large" }) });
    await models.use(large);
    expect(models.question).toEqual({ about: "use", model: large });
    await models.answer(false);
    expect(backend.asked).toEqual(["use a"]);
    await models.use(large);
    await models.answer(true);
    expect(backend.asked).toEqual(["use a", "use b"]);
    expect(models.question).toBeNull();
  });

  it("are not used where they are in use already, or cannot be", async () => {
    const { backend, models } = await open();
    await models.use(modelOf("a", { is_chosen: true }));
    await models.use(modelOf("b", { problem: { code: "not_gguf", message: "" } }));
    expect(backend.asked).toEqual([]);
  });

  it("are deleted only after a question, and only where they are Workly's", async () => {
    const { backend, models } = await open();
    models.remove(modelOf("theirs", { is_own: false }));
    expect(models.question).toBeNull();
    models.remove(modelOf("ours"));
    await models.answer(true);
    expect(backend.asked).toEqual(["remove ours"]);
  });

  it("keep their name where the new one is empty or the same", async () => {
    const { backend, models } = await open();
    expect(await models.rename(modelOf("a"), "  ")).toBe(false);
    expect(await models.rename(modelOf("a"), "Model a")).toBe(false);
    expect(await models.rename(modelOf("a"), " Ada ")).toBe(true);
    expect(backend.asked).toEqual(["rename a Ada"]);
  });

  it("tell why something was not done, until something is", async () => {
    const { backend, models } = await open();
    backend.refusal = { code: "disk_full", message: "4 GB are missing." };
    expect(await models.download("tiny")).toBe(false);
    expect(models.problem?.code).toBe("disk_full");
    backend.refusal = null;
    await models.download("tiny");
    expect(models.problem).toBeNull();
  });

  it("bring the catalogue up to date with the library, once it was asked for", async () => {
    const { backend, models } = await open();
    backend.listed = [catalogueOf("tiny")];
    backend.change({ is_searching: true });
    await settle();
    expect(models.catalogue).toBeNull();
    await models.openCatalogue();
    backend.listed = [catalogueOf("tiny", { installed: "a" })];
    backend.change({ models: [modelOf("a", { is_chosen: true })] });
    await settle();
    expect(models.catalogue?.[0]?.installed).toBe("a");
    expect(models.chosen?.id).toBe("a");
  });

  it("follow transfers, and know which one brings a model of the catalogue", async () => {
    const { backend, models, stop } = await open();
    backend.move(transferOf());
    expect(models.transferOf("tiny")?.id).toBe("t1");
    for (const state of ["done", "failed"] as const) {
      backend.move(transferOf({ state }));
      expect(models.transferOf("tiny")).toBeNull();
    }
    stop();
    backend.move();
    expect(models.transfers).toHaveLength(1);
  });

  it("tell of files held over the window, and of those let go", async () => {
    const { backend, models } = await open();
    let dropped = 0;
    models.ondropped = () => (dropped += 1);
    backend.drag({ phase: "over", models: 2, problem: null });
    expect(models.dragged).toBe(2);
    backend.drag({ phase: "left", models: 0, problem: null });
    expect([models.dragged, dropped]).toEqual([null, 0]);
    backend.drag({ phase: "over", models: 1, problem: null });
    backend.drag({ phase: "dropped", models: 1, problem: null });
    expect([models.dragged, dropped]).toEqual([null, 1]);
  });
});
