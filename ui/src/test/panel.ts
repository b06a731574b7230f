import type { MonitorBackend } from "../ipc/monitor";
import type { SettingsBackend } from "../ipc/settings";
import type {
  Demo, DemoName, GpuPast, GpuView, MonitorUpdate, OverrideWish, Profile, Settings, SettingsSnapshot, Thresholds, ThresholdsPreview,
} from "../ipc/wire";

const thresholds: Thresholds = {
  overload_vram_percent: 90, stressed_vram_percent: 75, optimal_vram_percent: 60, stressed_gpu_percent: 80, optimal_gpu_percent: 60,
};

export function settingsOf(): Settings {
  return {
    ai: {
      gpu_profile: "auto", auto_switching_enabled: true, balanced_gpu_layers: 35, context_tokens: 4096, model: null,
      standby: "auto", gpu_device: "auto", cpu_threads: "auto", kv_type: "f16",
    },
    gpu_monitoring: { interval_seconds: 5, csv_history_enabled: false, thresholds },
    library: { folders: [], other_apps: true },
    ui: { language: "system", theme: "system", close_to_tray: true, autostart: false, notify_on_switch: true },
  };
}

/** A core that takes every setting, unless it is told to refuse. */
export class FakeSettings implements SettingsBackend {
  readonly calls: [string, unknown][] = [];
  readonly previewed: Thresholds[] = [];
  refusal: unknown = null;
  now: SettingsSnapshot = {
    values: settingsOf(), defaults: settingsOf(), changed: [], notices: [], folder: "/data", fixed_by_arguments: [],
  };
  result: ThresholdsPreview = { minutes: 60, switches: 3, switches_now: 2, reasons: [{ reason: "overload", count: 3 }], for_this_model: true };
  #onChanged: ((snapshot: SettingsSnapshot) => void) | null = null;

  snapshot = async () => this.now;

  set = async (key: string, value: unknown) => {
    this.calls.push([key, value]);
    if (this.refusal !== null) throw this.refusal;
    const values = structuredClone(this.now.values) as unknown as Record<string, Record<string, unknown>>;
    const [section = "", name = ""] = key.split(".");
    values[section] = { ...values[section], [name]: value };
    this.now = { ...this.now, values: values as unknown as Settings, changed: [...this.now.changed, key] };
    return this.now;
  };

  reset = async (key: string | null) => {
    this.calls.push(["reset", key]);
    return this.now;
  };

  dismissNotices = async () => (this.now = { ...this.now, notices: [] });

  setOverride = async (wish: OverrideWish | null, minutes: number | null) => {
    this.calls.push(["override", [wish, minutes]]);
    return this.now;
  };

  preview = async (tried: Thresholds) => {
    this.previewed.push(tried);
    return this.result;
  };

  gpus = async () => [{ name: "Card", choose_by: "0000:01:00.0", vram_total: 6e9 }];
  diagnostics = async () => "## Workly";
  openDataFolder = async () => undefined;

  onChanged = async (callback: (snapshot: SettingsSnapshot) => void) => {
    this.#onChanged = callback;
    return () => undefined;
  };

  /** What an edit from outside brings. */
  change(changes: Partial<SettingsSnapshot>): void {
    this.now = { ...this.now, ...changes };
    this.#onChanged?.(this.now);
  }
}

export class FakeMonitor implements MonitorBackend {
  watches = 0;
  unwatches = 0;
  #onUpdate: ((update: MonitorUpdate) => void) | null = null;

  watch = async (onUpdate: (update: MonitorUpdate) => void) => {
    this.watches += 1;
    this.#onUpdate = onUpdate;
  };

  unwatch = async () => {
    this.unwatches += 1;
  };

  processes = async () => [{ pid: 7, name: "obs", vram_bytes: 1.2e9 }];
  exportHistory = async () => "/downloads/workly-gpu.csv";
  showExport = async () => undefined;
  demo = async (name: DemoName): Promise<Demo> => ({
    name, vram_total: 6e9, past: pastOf([0, 10_000, 20_000, 30_000], "performance"),
    switches: [{ unix_ms: 20_000, from: "performance", to: "cpu_fallback", why: null, reason: "overload", why_text: "VRAM 95 %", strategy: null }],
    switches_by_table: 12, thresholds,
  });

  send(update: MonitorUpdate): void {
    this.#onUpdate?.(update);
  }
}

export function pastOf(times: number[], profile: Profile | null = null): GpuPast {
  return {
    unix_ms: times, vram_percent: times.map(() => 40), own_percent: times.map(() => 10), gpu_percent: times.map(() => 5),
    profile: times.map(() => profile),
  };
}

export function viewOf(changes: Partial<GpuView> = {}): GpuView {
  return {
    unix_ms: 1_000_000, gpu: { name: "Card", choose_by: "x", vram_total: 6e9 }, vram_total: 6e9, vram_used: 2.4e9, own_bytes: null,
    gpu_percent: 5, temperature_c: null, power_w: null, state: "optimal", thresholds, interval_seconds: 5, stale: false,
    asleep: false, waiting: false, problem: null, ...changes,
  };
}
