import { describe, expect, it } from "vitest";
import { FakeMonitor, FakeSettings, pastOf, viewOf } from "../test/panel";
import { DemoStore } from "./demo.svelte";
import { MonitorStore, appended } from "./monitor.svelte";
import { SettingsStore } from "./settings.svelte";

describe("the settings", () => {
  it("keep a refusal beside its setting until a change is taken", async () => {
    const backend = new FakeSettings();
    const settings = new SettingsStore(backend);
    await settings.follow();
    backend.refusal = { code: "invalid_setting", message: "ai.context_tokens must be more." };
    expect(await settings.set("ai.context_tokens", 1)).toBe(false);
    expect(settings.refusals["ai.context_tokens"]?.message).toContain("must be more");
    expect(settings.problem).toBeNull();
    backend.refusal = null;
    expect(await settings.set("ai.context_tokens", 2048)).toBe(true);
    expect(settings.refusals).toEqual({});
    expect(settings.snapshot?.values.ai.context_tokens).toBe(2048);
  });

  it("tell of a file that cannot be written", async () => {
    const backend = new FakeSettings();
    const settings = new SettingsStore(backend);
    backend.refusal = { code: "not_saved", message: "full" };
    await settings.set("ui.theme", "dark");
    expect(settings.problem?.code).toBe("not_saved");
  });

  it("follow an edit from outside", async () => {
    const backend = new FakeSettings();
    const settings = new SettingsStore(backend);
    await settings.follow();
    backend.change({ changed: ["ui.theme"] });
    expect(settings.isChanged("ui.theme")).toBe(true);
  });
});

describe("the monitor", () => {
  it("takes the past, then each reading, and forgets what is older than an hour", async () => {
    const backend = new FakeMonitor();
    const monitor = new MonitorStore(backend);
    await monitor.watch();
    backend.send({ type: "start", view: viewOf(), past: pastOf([1000, 2000]), switches: [] });
    backend.send({ type: "reading", view: viewOf({ gpu_percent: 50 }), added: pastOf([3000]) });
    expect(monitor.past.unix_ms).toEqual([1000, 2000, 3000]);
    expect(monitor.view?.gpu_percent).toBe(50);
    expect(appended(monitor.past, pastOf([3_602_000])).unix_ms).toEqual([2000, 3000, 3_602_000]);
  });

  it("does not listen to a watch that was given up", async () => {
    const backend = new FakeMonitor();
    const monitor = new MonitorStore(backend);
    await monitor.watch();
    await monitor.unwatch();
    backend.send({ type: "reading", view: viewOf(), added: null });
    expect(monitor.view).toBeNull();
    expect(backend.unwatches).toBe(1);
  });
});

describe("the demonstration", () => {
  it("plays at its speed, shows what has passed, and stops at the end", async () => {
    const demo = new DemoStore(new FakeMonitor());
    await demo.open("gaming");
    demo.pass(1000);
    expect([demo.at, demo.past?.unix_ms, demo.switches.length]).toEqual([10_000, [0, 10_000], 0]);
    demo.speed = 60;
    demo.pass(1000);
    expect([demo.at, demo.playing, demo.switches.length]).toEqual([30_000, false, 1]);
    demo.toggle();
    expect([demo.at, demo.playing]).toEqual([0, true]);
  });
});
