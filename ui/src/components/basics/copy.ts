/** Puts text on the clipboard. Says whether that worked. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // A web view without the clipboard interface, or without leave to use it, still copies a selection.
    return copySelection(text);
  }
}

/**
 * Puts a text on the clipboard that is still on its way. The leave to write there comes with a click and is soon over, so
 * the clipboard is given the promise at once. Says whether it worked.
 */
export async function copyWhenReady(text: Promise<string>): Promise<boolean> {
  try {
    const plain = text.then((ready) => new Blob([ready], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": plain })]);
    return true;
  } catch {
    return text.then(copyText, () => false);
  }
}

function copySelection(text: string): boolean {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return copied;
}

/** How long a button says "Copied". */
export const COPIED_MS = 1500;
