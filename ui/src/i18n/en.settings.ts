// English: the settings page.

import type { KvType, OverrideWish, ProfileChoice, Reason, SettingsNotice, Standby } from "../ipc/wire";
import { formats } from "./formats";

const { integer, decimal, plural } = formats("en");
const times = (count: number) => plural(count, { one: "once", other: `${integer(count)} times` });
const inTheLast = (minutes: number) => `In the last ${plural(minutes, { one: "minute", other: `${integer(minutes)} minutes` })}`;

export const settings = {
  title: "Settings",
  loading: "Reading the settings…",
  restoreDefault: (name: string) => `Restore the default of “${name}”`,
  fixed: "Given on the command line until the next start.",
  changedOutside: "Edits of config.json take effect at once.",
  notice: {
    title: "About your settings file",
    dismiss: "Got it",
    text: (notice: SettingsNotice): string => {
      switch (notice.type) {
        case "restored":
          return `config.json could not be used, so your last good settings were restored. The broken file is kept as ${notice.kept_as}.`;
        case "defaults":
          return `config.json could not be used, so the default settings are in force. The broken file is kept as ${notice.kept_as}.`;
        case "unreadable":
          return "config.json cannot be read. Allow your user to read and write it, then restart Workly.";
        case "edit_broken":
          return "config.json was edited and cannot be used now. The settings from before stay in force until it is repaired.";
        case "not_watched":
          return "config.json cannot be watched. Edits from outside take effect at the next start.";
        case "bad_value":
          if (notice.key === "gpu_monitoring.thresholds") return "The thresholds in config.json contradict each other; the default thresholds are used.";
          return `The value of ${notice.key} in config.json cannot be used; ${notice.fallback} is used instead.`;
      }
    },
  },
  sections: {
    place: "Where the model runs",
    thresholds: "When it moves",
    model: "Model",
    watching: "Watching the GPU",
    window: "Window",
    data: "Data and help",
  },
  profile: {
    label: "Profile",
    hint: "Automatic moves the model off the GPU when other programs need it, and back when they are done.",
    choices: {
      auto: "Automatic",
      performance: "Performance",
      balanced: "Balanced",
      cpu_fallback: "CPU",
    } satisfies Record<ProfileChoice, string> as Record<ProfileChoice, string>,
    about: {
      auto: "Workly decides from what the card has to spare.",
      performance: "As much of the model on the GPU as fits.",
      balanced: "A part of the model on the GPU.",
      cpu_fallback: "Nothing on the GPU.",
    } satisfies Record<ProfileChoice, string> as Record<ProfileChoice, string>,
  },
  autoSwitching: {
    label: "Switch by itself",
    hint: "Off: the model stays in the profile it is in.",
  },
  override: {
    label: "For now",
    hint: "Takes precedence over everything above, for a while.",
    buttons: { hold: "Hold the GPU for 30 minutes", give_up: "Give the GPU up now" } satisfies Record<OverrideWish, string> as Record<
      OverrideWish,
      string
    >,
    active: { hold: "The GPU is held", give_up: "The GPU is given up" } satisfies Record<OverrideWish, string> as Record<
      OverrideWish,
      string
    >,
    until: (time: string) => `until ${time}`,
    untilCancelled: "until you cancel",
    cancel: "Cancel",
  },
  gpu: {
    label: "GPU",
    hint: "Automatic takes the discrete card with the most free memory.",
    auto: "Automatic",
    missing: (name: string) => `${name} (not found now)`,
    looking: "Looking for cards…",
  },
  standby: {
    label: "CPU standby",
    hint: "A second copy kept ready on the CPU, so that leaving the GPU takes no time. It costs memory.",
    choices: { auto: "When memory allows", on: "Always", off: "Never" } satisfies Record<Standby, string> as Record<Standby, string>,
  },
  thresholds: {
    vram: "Video memory in use",
    vramHint: "By every program together, in percent of the card.",
    gpu: "GPU busy",
    gpuHint: "With others' work, in percent.",
    names: {
      optimal_vram_percent: "Calm below",
      stressed_vram_percent: "Stressed above",
      overload_vram_percent: "Overloaded above",
      optimal_gpu_percent: "Calm below",
      stressed_gpu_percent: "Busy above",
    },
    gap: "Neighbours stay at least 5 points apart, so that Workly does not go back and forth.",
    limit: (least: number, most: number) => `Choose a number from ${integer(least)} to ${integer(most)}: neighbours stay 5 points apart.`,
    preview: {
      none: "There are no readings of the GPU yet. Once there are, you see here how often these thresholds would have switched.",
      busy: "Trying them on the last hour…",
      same: (minutes: number, switches: number) =>
        switches === 0
          ? `${inTheLast(minutes)} Workly would not have switched.`
          : `${inTheLast(minutes)} Workly would have switched ${times(switches)}.`,
      other: (minutes: number, switches: number, now: number) =>
        `${inTheLast(minutes)} these would have switched ${switches === 0 ? "never" : times(switches)}; the ones in force ${now === 0 ? "never" : times(now)}.`,
      assumed: "For a 7B model, because no model's own size on the card is known yet.",
    },
    reset: "Restore these defaults",
  },
  reasons: {
    overload: "overload",
    stress: "stress",
    fault: "out of memory",
    crash: "crash",
    recovered: "room again",
    replan: "another number of layers",
    override: "your wish for now",
    choice: "your choice",
    gpu_gone: "GPU gone",
    start: "start",
    table: "thresholds alone",
  } satisfies Record<Reason, string> as Record<Reason, string>,
  context: {
    label: "Context",
    hint: "Tokens of the conversation that the model sees. More takes more memory. The model is loaded again.",
    unit: "tokens",
  },
  kvType: {
    label: "Precision of the context",
    hint: "Fewer bits take less memory for the context and are a little less exact. The model is loaded again.",
    choices: { f16: "16 bits", q8_0: "8 bits", q4_0: "4 bits" } satisfies Record<KvType, string> as Record<KvType, string>,
  },
  layers: {
    label: "Layers in Balanced",
    hint: "The most layers that Balanced places on the GPU.",
    unit: "layers",
  },
  threads: {
    label: "CPU threads",
    hint: "Automatic leaves your machine usable.",
    auto: "Automatic",
    own: "A number",
    unit: "threads",
  },
  interval: {
    label: "Look every",
    hint: "Also how fine the charts are.",
    unit: "seconds",
    warning: "Under 2 seconds costs noticeable processor time, and some drivers make games stutter.",
  },
  csv: {
    label: "Write a history",
    hint: "Each reading as a line in gpu-history.csv, in the data folder.",
  },
  language: { label: "Language", choices: { system: "As the system", en: "English", fr: "Français" } },
  theme: { label: "Appearance", choices: { system: "As the system", light: "Light", dark: "Dark" } },
  closeToTray: { label: "Keep running in the tray", hint: "Closing the window leaves Workly in the tray." },
  autostart: { label: "Start with the computer", hint: "Workly starts when you log in." },
  notify: { label: "Tell me when it switches", hint: "A notification when Workly moves the model by itself." },
  folder: { label: "Data folder", hint: "Settings, conversations, logs.", open: "Open folder" },
  diagnostics: {
    label: "Diagnostics",
    hint: "Versions, cards, settings, the last decisions and the end of the log. Nothing of what you chat.",
    copy: "Copy diagnostics",
    copied: "Copied. Paste it into your report.",
    failed: "They could not be copied.",
  },
  resetAll: {
    label: "Defaults",
    hint: "Every setting on this page, as after installing. Conversations and models stay.",
    button: "Restore all defaults…",
    title: "Restore all defaults?",
    text: "Every setting goes back to what it was after installing. Your conversations, your models and the choice of the model stay.",
    confirm: "Restore defaults",
  },
  number: {
    range: (least: number, most: number) => `Choose a number from ${decimal(least)} to ${decimal(most)}.`,
    whole: (least: number, most: number) => `Choose a whole number from ${integer(least)} to ${integer(most)}.`,
  },
};
