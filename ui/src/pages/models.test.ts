import { flushSync, mount, unmount, type Component } from "svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { words } from "../i18n/index.svelte";
import { LinkPrompt } from "../stores/link.svelte";
import { ModelsStore } from "../stores/models.svelte";
import { SettingsStore } from "../stores/settings.svelte";
import { FakeBackend, settle } from "../test/backend";
import InTooltips from "../test/InTooltips.svelte";
import { catalogueOf, FakeModels, fitOf, modelOf, transferOf } from "../test/models";
import { FakeSettings } from "../test/panel";
import Models from "./Models.svelte";

let page: object | null = null;
let backend: FakeModels;
let models: ModelsStore;
let preferences: FakeSettings;

beforeEach(() => {
  words.language = "en";
  backend = new FakeModels();
  backend.now = { ...backend.now, card: { name: "Card", vram_total: 6e9, vram_external: 1.2e9 } };
});

afterEach(() => {
  if (page) unmount(page);
  page = null;
});

async function open() {
  models = new ModelsStore(backend);
  preferences = new FakeSettings();
  const settings = new SettingsStore(preferences);
  const links = new LinkPrompt(new FakeBackend());
  const props = { of: Models as unknown as Component<Record<string, unknown>>, props: { models, links, settings } };
  page = mount(InTooltips, { target: document.body, props });
  await Promise.all([models.follow(), settings.follow()]);
  await shown();
}

async function shown(): Promise<void> {
  await settle();
  flushSync();
}

function all(testid: string): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>(`[data-testid="${testid}"]`)];
}

function one(testid: string): HTMLElement {
  const found = all(testid)[0];
  if (!found) throw new Error(`nothing with data-testid="${testid}"`);
  return found;
}

describe("the page of models", () => {
  it("says of a model what it is and what each profile takes of the card", async () => {
    backend.now.models = [modelOf("a", { is_chosen: true })];
    await open();
    const card = one("model").textContent ?? "";
    for (const part of ["Model a", "135 M", "Q4_1", "98 MB", "8,192 tokens", "llama", "apache-2.0", "Workly’s folder", "In use", "Fits the card"]) {
      expect(card.replaceAll("\u00a0", " ")).toContain(part);
    }
    const performance = one("fit-performance");
    expect(performance.textContent).toContain("31/31 layers");
    expect(performance.textContent?.replace("\u00a0", " ")).toContain("40 % of the card");
    expect(performance.textContent).toContain("51.3 tokens/s");
    // 1.2 of 6 GB are others', so of the 40 % the model takes 20.
    expect(performance.querySelector<HTMLElement>(".others")?.style.width).toBe("20%");
    expect(performance.querySelector<HTMLElement>(".own")?.style.width).toBe("20%");
    expect(one("fit-cpu_fallback").textContent?.replace("\u00a0", " ")).toContain("400 MB of memory");
    expect(one("model").textContent).toContain("Estimated from the file");
  });

  it("speaks of memory alone where there is no card", async () => {
    backend.now = { ...backend.now, card: null, models: [modelOf("a", { fit: fitOf({ verdict: "cpu_only" }) })] };
    await open();
    expect(one("models-card").textContent).toContain("No GPU");
    expect(all("fit-performance")).toEqual([]);
    expect(one("fit-cpu_fallback").querySelector<HTMLElement>(".own")?.style.width).toBe("5%");
    expect(document.querySelectorAll("[data-testid=filter-fit] label")).toHaveLength(2);
  });

  it("offers no use of a file that cannot be read, and says why", async () => {
    backend.now.models = [modelOf("a", { facts: null, fit: null, problem: { code: "model_damaged", message: "It ends after 12 bytes." } })];
    await open();
    expect(all("use-model")).toEqual([]);
    expect(one("problem").textContent).toContain("It ends after 12 bytes.");
  });

  it("shows what passes the filters, and the way back to everything", async () => {
    backend.now.models = [modelOf("a"), modelOf("b", { fit: fitOf({ verdict: "too_large" }) })];
    backend.listed = [catalogueOf("tiny")];
    await open();
    await shown();
    expect([all("model").length, all("catalogue-model").length]).toEqual([2, 1]);
    one("filter-fit").querySelectorAll("input")[2]?.click();
    await shown();
    expect(one("models-found").textContent).toBe("2 models found");
    expect(all("model").map((model) => model.dataset["id"])).toEqual(["a"]);
    one("reset-filters").click();
    await shown();
    expect(all("model")).toHaveLength(2);
  });

  it("offers what fits the state of a transfer", async () => {
    await open();
    const buttons = () => all("transfer")[0]?.querySelectorAll("button") ?? [];
    const offered = () => [...buttons()].map((button) => button.textContent?.trim());
    backend.move(transferOf());
    await shown();
    expect(offered()).toEqual(["Pause", "Cancel"]);
    expect(one("transfer").textContent?.replaceAll("\u00a0", " ")).toContain("25 MB of 100 MB");
    expect(one("transfer").textContent?.replaceAll("\u00a0", " ")).toContain("15 s left");
    expect(one("transfer").querySelector("[role=progressbar]")?.getAttribute("aria-valuenow")).toBe("25");
    buttons()[0]?.click();
    backend.move(transferOf({ state: "paused" }));
    await shown();
    expect(offered()).toEqual(["Resume", "Cancel"]);
    backend.move(transferOf({ state: "failed", problem: { code: "hash_mismatch", message: "Another file came." } }));
    await shown();
    expect(offered()).toEqual(["Dismiss", "Try again"]);
    buttons()[1]?.click();
    backend.move(transferOf({ state: "done" }));
    await shown();
    expect(offered()).toEqual(["Dismiss"]);
    expect(one("transfer").textContent).toContain("Checked against the catalogue’s SHA-256");
    expect(backend.asked).toEqual(["pause t1", "retry t1"]);
  });

  it("does not offer what is on its way already", async () => {
    backend.listed = [catalogueOf("tiny")];
    await open();
    await shown();
    one("download").click();
    backend.move(transferOf());
    await shown();
    expect(backend.asked).toEqual(["download tiny"]);
    expect((one("download") as HTMLButtonElement).disabled).toBe(true);
  });

  it("renames with F2 and Enter, and leaves the name with Escape", async () => {
    backend.now.models = [modelOf("a")];
    await open();
    const press = (on: HTMLElement, key: string) => on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    for (const [name, key] of [["Ada", "Escape"], ["Byron", "Enter"]] as const) {
      press(one("model-menu"), "F2");
      await shown();
      const field = one("model-name-field") as HTMLInputElement;
      field.value = name;
      press(field, key);
      await shown();
    }
    expect(backend.asked).toEqual(["rename a Byron"]);
  });

  it("gives the name to write to whoever chose that in the menu, and the focus back after anything else", async () => {
    backend.now.models = [modelOf("a")];
    await open();
    const choose = async (item: string) => {
      for (const element of ["model-menu", item]) {
        one(element).focus();
        one(element).dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
        await vi.waitFor(() => expect(all(item)).toHaveLength(element === item ? 0 : 1));
      }
    };
    await choose("menu-reveal");
    expect(backend.asked).toEqual(["reveal a"]);
    await vi.waitFor(() => expect(document.activeElement).toBe(one("model-menu")));
    await choose("menu-rename");
    expect(document.activeElement).toBe(one("model-name-field"));
  });

  it("lists the folders and gives up only the user's own", async () => {
    backend.now.folders = [
      { path: "/home/ada/models", source: "folder", models: 2, problem: null },
      { path: "/home/ada/.ollama", source: "ollama", models: 0, problem: { code: "folder_unreadable", message: "Permission denied." } },
    ];
    await open();
    expect(all("folder")).toHaveLength(2);
    expect(all("folder")[1]?.textContent).toContain("Permission denied.");
    expect(all("remove-folder")).toHaveLength(1);
    one("remove-folder").click();
    one("add-folder").click();
    expect(backend.asked).toEqual(["remove folder /home/ada/models", "add folder"]);
    one("other-apps").click();
    expect(preferences.calls).toEqual([["library.other_apps", false]]);
  });
});
