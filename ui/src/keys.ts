// The keyboard shortcuts of the window: one table for what they do, what the list under `?` says, and the tooltips.

import type { Dictionary } from "./i18n/index.svelte";

/** What a shortcut does, where the window itself has to act on it. */
export type Action =
  | "newChat" | "search" | "copyLast" | "regenerate" | "previous" | "next" | "rename" | "sidebar" | "models" | "settings" | "shortcuts" | "stop"
  | "pageUp" | "pageDown";

type KeyName = keyof Dictionary["keys"];
/** A key by its name in the user's language, or by what is printed on it. */
export type KeyLabel = { named: KeyName } | { printed: string };

const named = (key: KeyName): KeyLabel => ({ named: key });
const printed = (key: string): KeyLabel => ({ printed: key });
const CONTROL = named("control");

/** The keys of each line under `?`, in their order. */
export const SHORTCUTS: readonly { does: keyof Dictionary["shortcuts"]; keys: readonly KeyLabel[]; either?: boolean }[] = [
  { does: "send", keys: [named("enter")] },
  { does: "newLine", keys: [named("shift"), named("enter")] },
  { does: "stop", keys: [named("escape")] },
  { does: "newChat", keys: [CONTROL, printed("N")] },
  { does: "search", keys: [CONTROL, printed("K")] },
  { does: "copyLast", keys: [CONTROL, named("shift"), printed("C")] },
  { does: "regenerate", keys: [CONTROL, named("shift"), printed("R")] },
  { does: "editLast", keys: [named("up")] },
  { does: "previous", keys: [named("alt"), named("up")] },
  { does: "next", keys: [named("alt"), named("down")] },
  { does: "rename", keys: [printed("F2")] },
  { does: "sidebar", keys: [CONTROL, printed("B")] },
  { does: "scroll", keys: [named("pageUp"), named("pageDown")], either: true },
  { does: "models", keys: [CONTROL, printed("M")] },
  { does: "settings", keys: [CONTROL, printed(",")] },
  { does: "shortcuts", keys: [printed("?")] },
];

/** The keys of a shortcut as one text, for a tooltip. */
export function keysOf(does: keyof Dictionary["shortcuts"], words: Dictionary): string {
  const keys = SHORTCUTS.find((shortcut) => shortcut.does === does)?.keys ?? [];
  return keys.map((key) => ("named" in key ? words.keys[key.named] : key.printed)).join("+");
}

/** What a press means, wherever the focus is; null where it means nothing to the window. */
export function actionOf(event: KeyboardEvent): Action | null {
  const key = event.key.toLowerCase();
  const control = (event.ctrlKey || event.metaKey) && !event.altKey;
  if (control && event.shiftKey) return key === "c" ? "copyLast" : key === "r" ? "regenerate" : null;
  if (control) return (CONTROLLED as Record<string, Action | undefined>)[key] ?? null;
  if (event.altKey && !event.shiftKey) return key === "arrowup" ? "previous" : key === "arrowdown" ? "next" : null;
  if (event.altKey) return null;
  if (key === "escape") return "stop";
  if (key === "f2") return "rename";
  if (key === "pageup") return "pageUp";
  if (key === "pagedown") return "pageDown";
  return key === "?" && !isText(event.target) ? "shortcuts" : null;
}

const CONTROLLED = {
  n: "newChat", k: "search", f: "search", b: "sidebar", m: "models", ",": "settings", "/": "shortcuts",
} satisfies Record<string, Action>;

/** Whether someone types text there. */
export function isText(target: EventTarget | null): boolean {
  return target instanceof HTMLTextAreaElement || (target instanceof HTMLInputElement && target.type !== "range" && target.type !== "checkbox");
}
