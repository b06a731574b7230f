// English, and the shape every other language has to fill.

import type { ExportWords, ProblemCode, Profile, StopReason, StoreNotice } from "../ipc/wire";
import { models } from "./en.models";
import { monitor } from "./en.monitor";
import { settings } from "./en.settings";
import { formats } from "./formats";

const locale = "en";
const { integer, decimal, percent, duration, plural, date } = formats(locale);

export const en = {
  locale: locale as string,
  models,
  monitor,
  settings,
  app: {
    newChat: "New chat",
    details: "Details",
    copy: "Copy",
    copied: "Copied",
    cancel: "Cancel",
    close: "Close",
    dismiss: "Dismiss",
    undo: "Undo",
    done: "Done",
  },
  nav: {
    label: "Pages",
    chat: "Chat",
    monitor: "Monitor",
    models: "Models",
    settings: "Settings",
    shortcuts: "Keyboard shortcuts",
  },
  sidebar: {
    label: "Conversations",
    show: "Show conversations",
    hide: "Hide conversations",
    search: "Search",
    searchLabel: "Search conversations",
    clear: "Clear the search",
    empty: "Your conversations appear here.",
    nothingFound: (query: string) => `Nothing found for “${query}”.`,
    found: (count: number) => plural(count, { one: "1 conversation found", other: `${integer(count)} conversations found` }),
    today: "Today",
    yesterday: "Yesterday",
    week: "Previous 7 days",
    older: "Older",
    untitled: "New chat",
    answering: "An answer is being written",
    actions: (title: string) => `Actions for “${title}”`,
    rename: "Rename",
    titleLabel: "Title of the conversation",
    exportMarkdown: "Export as Markdown…",
    exportJson: "Export as JSON…",
    remove: "Delete",
    removeHint:
      "Deleted conversations are erased from the file after half a minute. Backups made before that hold them until three newer ones have been made.",
    deleted: (title: string) => `“${title}” was deleted.`,
    exported: (name: string) => `Saved as ${name}.`,
  },
  store: {
    text: (notice: StoreNotice): string => {
      switch (notice.type) {
        case "restored":
          return `Your conversations were damaged. Workly took the copy of ${date(new Date(notice.backup_ms))}; what was said since is missing. The damaged file was kept as ${notice.kept_as}.`;
        case "salvaged": {
          const read = plural(notice.messages, { one: "1 message", other: `${integer(notice.messages)} messages` });
          const rest =
            notice.backup_ms === null
              ? "there was no copy to take the rest from"
              : `what was missing came from the copy of ${date(new Date(notice.backup_ms))}`;
          return `Your conversations were damaged. ${read} could be read; ${rest}. Check your last conversations. The damaged file was kept as ${notice.kept_as}.`;
        }
        case "emptied":
          return `Your conversations were damaged, nothing in them could be read, and there was no copy. The damaged file was kept as ${notice.kept_as}.`;
        case "missing":
          return `The file of your conversations was gone. Workly took the copy of ${date(new Date(notice.backup_ms))}; what was said since is missing. If you moved the file, close Workly and put it back.`;
        case "not_kept":
          return `The file of your conversations cannot be opened: ${notice.details}. Check that the disk has room and that Workly may write there. Workly goes on trying; what is said meanwhile is lost if Workly is closed first.`;
        case "in_use":
          return "Another Workly uses this folder: conversations of this window are not kept until you close the other one.";
        case "not_saved":
          return `What is said now could not be saved: ${notice.details}. Make room or close the program that holds the file; Workly keeps the text and goes on trying.`;
        case "saved":
          return "Everything said is saved again.";
      }
    },
    copyFile: "Copy the name of the file",
  },
  conversation: {
    title: "This conversation",
    open: "Instructions and sampling",
    systemPrompt: "Instructions",
    systemPromptHint: "The system prompt: what the model reads before everything else.",
    systemPromptPlaceholder: "You answer in two sentences at most.",
    sampling: "Sampling",
    temperature: "Temperature",
    temperatureHint: "0 always takes the likeliest word; higher is wilder.",
    topP: "Top-p",
    topPHint: "Only the likeliest words that together reach this share.",
    topK: "Top-k",
    topKHint: "Only this many of the likeliest words; 0 is all.",
    minP: "Min-p",
    minPHint: "Only words at least this likely beside the likeliest.",
    repeatPenalty: "Repeat penalty",
    repeatPenaltyHint: "Above 1 the model repeats itself less.",
    maxTokens: "Longest answer",
    maxTokensHint: "In tokens. Empty: as long as it takes.",
    seed: "Seed",
    seedHint: "The same seed gives the same answer. Empty: a new one each time.",
    unlimited: "no limit",
    random: "random",
    reset: "Back to defaults",
  },
  context: {
    used: (used: number, total: number) => `${integer(used)} / ${integer(total)} tokens`,
    usedAbout: (used: number, total: number) => `≈ ${integer(used)} / ${integer(total)} tokens`,
    about: "How much of the model’s context this conversation takes. When it is full, the oldest turns are left out.",
  },
  branch: {
    previous: "Previous version",
    next: "Next version",
    place: (number: number, count: number) => `${integer(number)}/${integer(count)}`,
  },
  shortcuts: {
    title: "Keyboard shortcuts",
    send: "Send the message",
    newLine: "New line",
    stop: "Stop the answer",
    newChat: "New chat",
    search: "Search conversations",
    copyLast: "Copy the last answer",
    regenerate: "Answer again",
    editLast: "Edit the last message (in an empty field)",
    previous: "Previous conversation",
    next: "Next conversation",
    rename: "Rename the conversation",
    sidebar: "Show or hide conversations",
    models: "Models",
    settings: "Settings",
    shortcuts: "This list",
    scroll: "Scroll",
  },
  export: {
    you: "You",
    model: "Model",
    system_prompt: "Instructions",
    untitled: "Conversation",
    dialog: "Export the conversation",
  } satisfies ExportWords as ExportWords,
  model: {
    none: "No model",
    starting: "Starting…",
    loading: (fraction: number | null) => (fraction === null ? "Loading…" : `Loading… ${percent(fraction)}`),
    ready: "Ready",
    generating: "Answering",
    switching: "Changing place…",
    stopped: "Not loaded",
    failed: "Not available",
    about: (parameters: number, context: number, threads: number) =>
      `${integer(parameters / 1e6)} M parameters · context of ${integer(context)} tokens · ${plural(threads, { one: "1 thread", other: `${integer(threads)} threads` })}`,
    gpu: (layers: number, device: string) =>
      `${plural(layers, { one: "1 layer", other: `${integer(layers)} layers` })} on ${device}`,
  },
  profile: {
    performance: "Performance",
    balanced: "Balanced",
    cpu_fallback: "CPU",
  } satisfies Record<Profile, string> as Record<Profile, string>,
  profileOff: "Off",
  profileLabel: (name: string) => `Profile: ${name}`,
  speed: (tokensPerSecond: number) => `${decimal(tokensPerSecond)} tokens/s`,
  chat: {
    log: "Conversation",
    you: "You",
    answerOf: (model: string) => `Answer of ${model}`,
    jumpToLatest: "Jump to latest",
    thinking: "Thinking…",
    waitingForModel: "The model is loading. Your answer comes next.",
    reading: (done: number, total: number) => `Reading… ${integer(done)}/${integer(total)}`,
    dropped: (turns: number) =>
      plural(turns, {
        one: "1 older turn was left out: the context is full.",
        other: `${integer(turns)} older turns were left out: the context is full.`,
      }),
    restarted: (token: number) => `At token ${integer(token)} the model's process was replaced; nothing is lost.`,
    restartedShort: "restarted",
    switched: (profile: Profile, token: number) =>
      ({
        performance: `From token ${integer(token)} on the whole model runs on the GPU.`,
        balanced: `From token ${integer(token)} on a part of the model runs on the GPU.`,
        cpu_fallback: `From token ${integer(token)} on the model runs on the CPU.`,
      })[profile],
    silent: "The model process is not answering. Waiting for it…",
    firstToken: (milliseconds: number) => `first token ${duration(milliseconds)}`,
    tokens: (count: number) => plural(count, { one: "1 token", other: `${integer(count)} tokens` }),
    promptTokens: (count: number, cached: number) =>
      `${plural(count, { one: "1 prompt token", other: `${integer(count)} prompt tokens` })}, ${integer(cached)} from the cache`,
    stop: {
      end: null,
      stop_string: "stop text reached",
      length: "length limit reached",
      context: "context full",
      cancelled: "stopped",
    } satisfies Record<StopReason, string | null> as Record<StopReason, string | null>,
    interrupted: "Workly ended while this was being written.",
    moved: {
      performance: "moved to the GPU",
      balanced: "moved partly to the GPU",
      cpu_fallback: "moved to the CPU",
    } satisfies Record<Profile, string> as Record<Profile, string>,
    movedWhy: (reason: string | undefined, gapMs: number) => `${reason ? `Reason: ${reason}. ` : ""}The text paused for ${duration(gapMs)}.`,
    regenerate: "Answer again",
    edit: "Edit",
    editLabel: "Your message, in other words",
    copyMessage: "Copy message",
    copyAnswer: "Copy answer",
    copyCode: "Copy code",
    retry: "Try again",
    plainText: "text",
  },
  composer: {
    label: "Your message",
    placeholder: "Write a message",
    send: "Send",
    stop: "Stop",
    stopping: "Stopping…",
    hintSend: "to send",
    hintNewLine: "for a new line",
    hintStop: "to stop",
    hintNewChat: "for a new chat",
    hintShortcuts: "for all shortcuts",
  },
  keys: { enter: "Enter", shift: "Shift", escape: "Esc", control: "Ctrl", alt: "Alt", up: "↑", down: "↓", pageUp: "Page up", pageDown: "Page down" },
  empty: {
    title: "What shall we talk about?",
    withModel: (model: string) => `${model} runs on this machine. What you write stays here.`,
    withoutModel: "The model runs on this machine. What you write stays here.",
    suggestions: "Suggestions",
    ideas: [
      { title: "Explain something", text: "Explain what a GPU does, in a few simple sentences." },
      { title: "Write something", text: "Write a short, friendly e-mail that moves a meeting to Thursday." },
      { title: "Code something", text: "Write a Python function that counts the words in a text file." },
    ],
  },
  link: {
    title: "Open this link?",
    warning: "It was written by the model. Check where it leads.",
    open: "Open in browser",
  },
  problem: {
    model_missing: {
      title: "The model file is missing",
      advice: "Check that the file is still where it was, or choose another model.",
    },
    no_permission: { title: "The model file cannot be read", advice: "Give your user the right to read the file, then try again." },
    not_gguf: { title: "This file is not a GGUF model", advice: "Choose a model file that ends in .gguf." },
    model_damaged: { title: "The model file is damaged", advice: "It is probably an incomplete download. Download it again." },
    unsupported_architecture: {
      title: "This kind of model is not supported",
      advice: "Choose a model of another family, or update Workly.",
    },
    context_too_large: { title: "The context does not fit in memory", advice: "Set a smaller context, or close other programs." },
    out_of_memory: { title: "Out of memory", advice: "Close other programs, or choose a smaller model or context." },
    empty_prompt: { title: "There is nothing to answer", advice: "Write a message first." },
    prompt_too_long: {
      title: "The message is too long",
      advice: "Shorten it, or set a larger context: it has to fit in the model's context.",
    },
    invalid_setting: { title: "A setting is out of its range", advice: "Change the setting named below." },
    template_failed: { title: "The model's chat template failed", advice: "Start a new chat. If it happens again, choose another model." },
    load_failed: { title: "The model could not be loaded", advice: "Try again. The details say what the engine reported." },
    decode_failed: { title: "The model stopped computing", advice: "Try again. The text so far is kept." },
    no_model: { title: "No model", advice: "Choose a model first." },
    worker_crashed: {
      title: "The model process crashed",
      advice: "The text so far is kept. Try again: a new process starts by itself.",
    },
    worker_killed: {
      title: "The model process was ended from outside",
      advice: "Often the system does that when memory runs out. Try again: a new process starts by itself.",
    },
    worker_unresponsive: {
      title: "The model process stopped answering",
      advice: "It was ended. Try again: a new process starts by itself.",
    },
    worker_missing: { title: "A part of Workly is missing", advice: "The program that runs models was not found. Install Workly again." },
    protocol: { title: "Workly had an internal error", advice: "Try again. If it stays, restart Workly." },
    link_refused: { title: "This link was not opened", advice: "Copy it and open it yourself if you trust it." },
    not_saved: { title: "It could not be saved", advice: "Free some space, or allow Workly to write to the folder." },
    gpu_unreadable: { title: "The GPU cannot be asked", advice: "Try again in a moment." },
    cancelled: { title: "Stopped", advice: "It was stopped before it was done." },
    conversation_missing: { title: "This conversation is gone", advice: "It was deleted. Choose another one, or start a new chat." },
    answer_running: { title: "An answer is still being written here", advice: "Wait for it, or stop it first." },
    store_failed: {
      title: "The conversation could not be kept",
      advice: "Check that the disk has room and can be written, then try again.",
    },
    export_failed: { title: "The file was not written", advice: "Choose another place and try again." },
    disk_full: { title: "The disk is too full", advice: "Make room, then try again." },
    download_failed: { title: "The download broke off", advice: "Check the connection, then go on: what is here is kept." },
    download_refused: { title: "The host refuses this file", advice: "Choose another model, or fetch it with your browser and import it." },
    hash_mismatch: { title: "The file is not the one expected", advice: "It was discarded. Fetch it again." },
    model_exists: { title: "A model of this name is there already", advice: "Rename or delete the one that is there first." },
    not_ours: { title: "This file is not Workly’s", advice: "Change it in the application that it belongs to." },
    folder_unreadable: { title: "The folder cannot be searched", advice: "Check that it is there and that you may read it." },
  } satisfies Record<ProblemCode, ProblemWords> as Record<ProblemCode, ProblemWords>,
};

/** What a person is told of a problem, above the core's own message. */
export interface ProblemWords {
  /** What happened, in a few words. */
  title: string;
  /** What to do about it. */
  advice: string;
}

export type Dictionary = typeof en;
