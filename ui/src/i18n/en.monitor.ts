// English: the monitor page.

import type { DemoName, GpuProblemKind, GpuState, Profile, SwitchStrategy } from "../ipc/wire";
import { formats } from "./formats";

const { integer, decimal, plural } = formats("en");
/** Bytes in decimal gigabytes, as cards are sold. */
const gigabytes = (bytes: number) => `${decimal(bytes / 1e9)}\u00a0GB`;

export const monitor = {
  title: "GPU",
  waiting: "Asking the card…",
  state: {
    overloaded: "Overloaded",
    stressed: "Stressed",
    optimal: "Calm",
    moderate: "Moderate",
  } satisfies Record<GpuState, string> as Record<GpuState, string>,
  stateHint: {
    overloaded: "So full that programs may fail: the model belongs on the CPU.",
    stressed: "Full and busy: a part of the model should leave.",
    optimal: "Neither full nor busy: the whole model is welcome.",
    moderate: "In between: the model stays where it is.",
  } satisfies Record<GpuState, string> as Record<GpuState, string>,
  stale: "The driver does not answer; the figures are old.",
  asleep: "The card sleeps and is left alone.",
  figures: {
    vram: "Video memory",
    of: (used: number, total: number) => `${gigabytes(used)} of ${gigabytes(total)}`,
    own: "Workly",
    others: "Others",
    gpu: "Busy",
    temperature: "Temperature",
    celsius: (value: number) => `${integer(value)}\u00a0°C`,
    power: "Power",
    watts: (value: number) => `${integer(value)}\u00a0W`,
    unknown: "unknown",
  },
  gigabytes,
  percent: (value: number) => `${integer(value)}\u00a0%`,
  range: { label: "Time shown", five: "5 min", hour: "1 h", all: "All" },
  chart: {
    vram: "Video memory, percent of the card",
    gpu: "GPU busy, percent",
    overload: "overloaded",
    stressed: "stressed",
    optimal: "calm",
    busy: "busy",
    empty: "The first reading is on its way.",
    collecting: "The curves grow from here on.",
    vramSummary: (now: string, own: string, highest: string) => `Video memory: ${now} now, of which Workly ${own}; highest ${highest}.`,
    gpuSummary: (now: string, highest: string) => `GPU busy: ${now} now; highest ${highest}.`,
  },
  decisions: {
    title: "Decisions",
    none: "No decision yet. Each move of the model is written here, with its reason.",
    first: "Start",
    stays: "stays",
    to: (profile: string) => `to ${profile}`,
    strategies: {
      standby: "standby took over",
      side_by_side: "side by side",
      via_cpu: "over the CPU",
      emergency: "emergency",
      replay: "computed anew",
    } satisfies Record<SwitchStrategy, string> as Record<SwitchStrategy, string>,
  },
  processes: {
    title: "Programs on the GPU",
    show: "Show programs",
    refresh: "Refresh",
    hide: "Hide",
    name: "Program",
    pid: "Process",
    vram: "Video memory",
    unknown: "unknown",
    none: "No program uses the card, or the driver does not say.",
    hint: "Asked for only when you open it, because it is slow for the driver.",
  },
  export: {
    button: "Export CSV",
    done: (path: string) => `Saved as ${path}`,
    show: "Show in folder",
  },
  empty: {
    title: {
      no_gpu: "No GPU to watch",
      driver: "The GPU driver cannot be used",
      no_permission: "This user may not read the GPU",
      not_supported: "The GPU does not report its memory",
      lost: "The GPU is gone",
      silent: "The GPU driver does not answer",
    } satisfies Record<GpuProblemKind, string> as Record<GpuProblemKind, string>,
    advice: {
      no_gpu: "Workly runs the model on the CPU. With an NVIDIA or AMD card, install its driver; Workly finds it by itself.",
      driver: "Restart the computer, or install the driver anew. Until then the model runs on the CPU.",
      no_permission: "Allow your user access to the GPU's device files. Until then the model runs on the CPU.",
      not_supported: "Choose a fixed profile in the settings.",
      lost: "Workly looks for it again every few seconds. The model runs on the CPU meanwhile.",
      silent: "Workly asks again.",
    } satisfies Record<GpuProblemKind, string> as Record<GpuProblemKind, string>,
    demo: "See what Workly does on a recorded load:",
  },
  demo: {
    open: "Demonstration",
    close: "End the demonstration",
    label: "Demonstration",
    banner: (total: number) => `A recorded load on an imagined card of ${gigabytes(total)}, with a 7B model. The decisions are Workly's real ones, with your thresholds.`,
    recording: "Recording",
    names: { gaming: "A game", streaming: "A stream", bursts: "Short bursts" } satisfies Record<DemoName, string> as Record<DemoName, string>,
    play: "Play",
    pause: "Pause",
    again: "Play again",
    speed: "Speed",
    times: (speed: number) => `${integer(speed)}×`,
    position: "Position",
    compare: (workly: number, table: number) =>
      `Over the whole recording Workly switches ${plural(workly, { one: "once", other: `${integer(workly)} times` })}; thresholds alone would ${plural(table, { one: "once", other: `${integer(table)} times` })}.`,
  },
  profileAt: (profile: Profile | null, names: Record<Profile, string>) => (profile ? names[profile] : "no model"),
};
