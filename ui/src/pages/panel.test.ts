import { flushSync, mount, unmount } from "svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { words } from "../i18n/index.svelte";
import { DemoStore } from "../stores/demo.svelte";
import { MonitorStore } from "../stores/monitor.svelte";
import { SettingsStore } from "../stores/settings.svelte";
import { settle } from "../test/backend";
import { FakeMonitor, FakeSettings, pastOf, viewOf } from "../test/panel";
import Monitor from "./Monitor.svelte";
import Settings from "./Settings.svelte";

// jsdom has no canvas to draw on; the charts are looked at in the real window.
vi.mock("uplot", () => ({ default: class { setData() {} setSize() {} destroy() {} } }));
window.matchMedia ??= () => new EventTarget() as MediaQueryList;

let page: object | null = null;

beforeEach(() => {
  words.language = "en";
});

afterEach(() => {
  if (page) unmount(page);
  page = null;
});

function one(testid: string): HTMLElement {
  const found = document.querySelector<HTMLElement>(`[data-testid="${testid}"]`);
  if (!found) throw new Error(`nothing with data-testid="${testid}"`);
  return found;
}

async function shown(): Promise<void> {
  await settle();
  flushSync();
}

describe("the settings page", () => {
  let backend: FakeSettings;

  async function open() {
    const settings = new SettingsStore(backend);
    page = mount(Settings, { target: document.body, props: { settings } });
    await settings.follow();
    await shown();
  }

  beforeEach(() => {
    backend = new FakeSettings();
  });

  it("says what is wrong with a number while it is typed, and keeps only a right one", async () => {
    await open();
    const field = one("context-tokens") as HTMLInputElement;
    field.value = "12";
    field.dispatchEvent(new Event("input", { bubbles: true }));
    flushSync();
    expect(one("context-tokens-fault").textContent).toContain("from 256 to 1,048,576");
    field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
    expect(backend.calls).toEqual([]);
    field.value = "2048";
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
    await shown();
    expect(backend.calls).toEqual([["ai.context_tokens", 2048]]);
  });

  it("offers the precisions of the context and keeps the one that is chosen", async () => {
    await open();
    const precisions = () => [...document.querySelectorAll<HTMLInputElement>("[name=kv-type]")];
    expect(precisions().map((radio) => [radio.value, radio.checked])).toEqual([["f16", true], ["q8_0", false], ["q4_0", false]]);
    precisions()[1]?.click();
    await shown();
    expect(backend.calls).toEqual([["ai.kv_type", "q8_0"]]);
    expect(precisions().filter((radio) => radio.checked).map((radio) => radio.value)).toEqual(["q8_0"]);
  });

  it("warns of a short interval", async () => {
    backend.now.values.gpu_monitoring.interval_seconds = 1.5;
    await open();
    expect(one("interval-warning").textContent).toContain("Under 2 seconds");
    words.language = "fr";
    flushSync();
    expect((one("interval") as HTMLInputElement).value).toBe("1,5");
  });

  it("shows a switch as the core has it, even where a change is refused", async () => {
    backend.refusal = { code: "not_saved", message: "full" };
    await open();
    const box = one("csv-history") as HTMLInputElement;
    box.click();
    await shown();
    expect(box.checked).toBe(false);
    expect(one("problem").dataset["code"]).toBe("not_saved");
  });

  it("tells of a broken file in both languages and lets what is past be put away", async () => {
    backend.now = { ...backend.now, notices: [{ type: "restored", kept_as: "config.broken-1.json", detail: "EOF" }] };
    await open();
    expect(one("settings-notices").textContent).toContain("last good settings were restored");
    words.language = "fr";
    flushSync();
    expect(one("settings-notices").textContent).toContain("config.broken-1.json");
    expect(one("settings-notices").textContent).toContain("rétablis");
    one("dismiss-notices").click();
    await shown();
    expect(document.querySelector("[data-testid=settings-notices]")).toBeNull();
  });

  it("asks for the GPU for half an hour", async () => {
    await open();
    one("override-hold").click();
    await shown();
    expect(backend.calls).toEqual([["override", ["hold", 30]]]);
  });

  it("keeps a card visible that is chosen and not there", async () => {
    backend.now.values.ai.gpu_device = "0000:09:00.0";
    await open();
    const options = [...one("gpu-device").querySelectorAll("option")].map((option) => option.textContent);
    expect(options).toEqual(["Automatic", "Card", "0000:09:00.0 (not found now)"]);
  });
});

describe("the monitor page", () => {
  let backend: FakeMonitor;

  async function open() {
    const monitor = new MonitorStore(backend);
    page = mount(Monitor, { target: document.body, props: { monitor, demo: new DemoStore(backend), model: null } });
    await shown();
  }

  function look(state: DocumentVisibilityState) {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
    flushSync();
  }

  beforeEach(() => {
    backend = new FakeMonitor();
  });

  it("watches while it is seen and not a moment longer", async () => {
    await open();
    expect([backend.watches, backend.unwatches]).toEqual([1, 0]);
    look("hidden");
    expect([backend.watches, backend.unwatches]).toEqual([1, 1]);
    look("visible");
    expect([backend.watches, backend.unwatches]).toEqual([2, 1]);
    if (page) unmount(page);
    page = null;
    expect(backend.unwatches).toBe(2);
  });

  it("explains a machine without a GPU and offers the demonstration", async () => {
    await open();
    const problem = { kind: "no_gpu", detail: "no NVIDIA driver was found" } as const;
    backend.send({ type: "start", view: viewOf({ vram_total: null, vram_used: null, state: null, problem }), past: pastOf([]), switches: [] });
    flushSync();
    expect(one("no-gpu").textContent).toContain("Workly runs the model on the CPU");
    one("demo-gaming").click();
    await shown();
    expect(one("demo").textContent).toContain("Demonstration");
    expect(one("demo-compare").textContent).toContain("switches once");
  });

  it("tells the decisions, the newest first, in the language of the window", async () => {
    await open();
    const entry = (unix_ms: number, why_text: string) =>
      ({ unix_ms, from: "performance", to: "balanced", why: null, reason: "stress", why_text, strategy: "standby" }) as const;
    const switches = [entry(1, "VRAM 85 %, others' GPU 88 % (obs 1.2 GB)"), entry(2, "as chosen in the settings")];
    backend.send({ type: "start", view: viewOf(), past: pastOf([1000, 2000]), switches });
    flushSync();
    const lines = () => [...one("decisions").querySelectorAll(".why")].map((line) => line.textContent?.trim() ?? "");
    expect(lines()[0]).toContain("as chosen in the settings");
    // The core sends them again, in the words of the language that was chosen.
    words.language = "fr";
    const french = [entry(1, "VRAM 85\u00a0%, GPU des autres 88\u00a0% (obs 1,2\u00a0Go)"), entry(2, "comme choisi dans les réglages")];
    backend.send({ type: "start", view: viewOf(), past: pastOf([1000, 2000]), switches: french });
    flushSync();
    expect(lines()[1]).toContain("VRAM 85\u00a0%, GPU des autres 88\u00a0% (obs 1,2\u00a0Go)");
    expect(lines()[1]).toContain("la réserve a pris le relais");
  });

  it("lists the programs only when asked", async () => {
    await open();
    backend.send({ type: "start", view: viewOf(), past: pastOf([1000, 2000]), switches: [] });
    flushSync();
    expect(document.querySelector("[data-testid=processes]")).toBeNull();
    one("show-processes").click();
    await shown();
    expect(one("processes").textContent).toContain("obs");
  });
});
