// What the Rust side does about settings.

import { invoke } from "@tauri-apps/api/core";
import { listen } from "@tauri-apps/api/event";
import {
  SETTINGS_CHANGED,
  type GpuCard,
  type OverrideWish,
  type SettingsSnapshot,
  type Thresholds,
  type ThresholdsPreview,
} from "./wire";

/** Settings: read, changed, tried out. A rejected promise carries a `Problem`. */
export interface SettingsBackend {
  snapshot(): Promise<SettingsSnapshot>;
  /** Sets one value by its key, such as `ui.theme`. */
  set(key: string, value: unknown): Promise<SettingsSnapshot>;
  /** Gives one value its default; all of them without a key. */
  reset(key: string | null): Promise<SettingsSnapshot>;
  /** The user has read the notices about the file. */
  dismissNotices(): Promise<SettingsSnapshot>;
  /** Holds the GPU or gives it up for some minutes, or until cancelled; null cancels. */
  setOverride(wish: OverrideWish | null, minutes: number | null): Promise<SettingsSnapshot>;
  /** What these thresholds would have done with the last hour. */
  preview(thresholds: Thresholds): Promise<ThresholdsPreview>;
  /** The cards there are. */
  gpus(): Promise<GpuCard[]>;
  /** A text for a bug report. */
  diagnostics(): Promise<string>;
  openDataFolder(): Promise<void>;
  /** Calls back at each change, wherever it came from. Returns the way to stop. */
  onChanged(callback: (snapshot: SettingsSnapshot) => void): Promise<() => void>;
}

export const settingsBackend: SettingsBackend = {
  snapshot: () => invoke<SettingsSnapshot>("settings_snapshot"),
  set: (key, value) => invoke<SettingsSnapshot>("set_setting", { key, value }),
  reset: (key) => invoke<SettingsSnapshot>("reset_settings", { key }),
  dismissNotices: () => invoke<SettingsSnapshot>("dismiss_settings_notices"),
  setOverride: (wish, minutes) => invoke<SettingsSnapshot>("set_override", { wish, minutes }),
  preview: (thresholds) => invoke<ThresholdsPreview>("preview_thresholds", { thresholds }),
  gpus: () => invoke<GpuCard[]>("list_gpus"),
  diagnostics: () => invoke<string>("diagnostics"),
  openDataFolder: () => invoke<void>("open_data_folder"),
  onChanged: (callback) => listen<SettingsSnapshot>(SETTINGS_CHANGED, (event) => callback(event.payload)),
};
