// What the links and copy buttons inside an answer do. They are plain nodes, so their events are caught above them.

import { COPIED_MS, copyText } from "../basics/copy";

interface ProseActions {
  onlink: (url: string) => void;
  /** The word on a button that has copied. */
  copied: () => string;
}

/** An attachment for the element that holds an answer's nodes. */
export function proseEvents({ onlink, copied }: ProseActions): (node: HTMLElement) => () => void {
  function click(event: Event) {
    const target = event.target instanceof Element ? event.target.closest("[data-url], .code-copy") : null;
    if (!(target instanceof HTMLElement)) return;
    event.preventDefault();
    if (target.dataset["url"]) onlink(target.dataset["url"]);
    else void copyCode(target, copied());
  }
  function keydown(event: KeyboardEvent) {
    if (event.key === "Enter" && event.target instanceof HTMLElement && event.target.dataset["url"]) click(event);
  }
  return (node) => {
    node.addEventListener("click", click);
    node.addEventListener("auxclick", click);
    node.addEventListener("keydown", keydown);
    return () => {
      node.removeEventListener("click", click);
      node.removeEventListener("auxclick", click);
      node.removeEventListener("keydown", keydown);
    };
  };
}

async function copyCode(button: HTMLElement, copied: string): Promise<void> {
  const code = button.closest(".code-block")?.querySelector("code")?.textContent ?? "";
  if (!(await copyText(code))) return;
  const word = button.textContent;
  button.textContent = copied;
  setTimeout(() => (button.textContent = word), COPIED_MS);
}
