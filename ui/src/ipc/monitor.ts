// What the Rust side tells of the GPU.

import { Channel, invoke } from "@tauri-apps/api/core";
import type { Demo, DemoName, MonitorUpdate, ProcessUse } from "./wire";

/** The GPU, watched. A rejected promise carries a `Problem`. */
export interface MonitorBackend {
  /** Begins to watch; the first update is all there is so far. A page that watches anew takes the place of the old. */
  watch(onUpdate: (update: MonitorUpdate) => void): Promise<void>;
  /** Nobody looks any more. */
  unwatch(): Promise<void>;
  /** The programs on the card. */
  processes(): Promise<ProcessUse[]>;
  /** Writes the last hour as CSV; returns the path of the file. */
  exportHistory(): Promise<string>;
  /** Shows that file in the system's file manager. */
  showExport(): Promise<void>;
  /** A recorded load, played against the policy. */
  demo(name: DemoName): Promise<Demo>;
}

export const monitorBackend: MonitorBackend = {
  watch: (onUpdate) => invoke<void>("watch_monitor", { updates: new Channel<MonitorUpdate>(onUpdate) }),
  unwatch: () => invoke<void>("unwatch_monitor"),
  processes: () => invoke<ProcessUse[]>("gpu_processes"),
  exportHistory: () => invoke<string>("export_gpu_history"),
  showExport: () => invoke<void>("show_export"),
  demo: (name) => invoke<Demo>("play_demo", { name }),
};
