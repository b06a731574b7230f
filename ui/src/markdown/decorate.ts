// What Workly itself adds to an answer, after it was made safe: link behaviour, code headers and colours, task boxes.

import { highlight } from "./highlight";
import { formulas } from "./katex.svelte";
import { UNFINISHED } from "./math";

/** The words on what is added. */
export interface Labels {
  copy: string;
  copyCode: string;
  /** The name of code without a language. */
  plainText: string;
}

/** Adds to the nodes in place. `complete` says that the text has ended, so that code can be copied whole. */
export function decorate(content: DocumentFragment, labels: Labels, complete: boolean): DocumentFragment {
  for (const link of content.querySelectorAll("a")) disarm(link);
  for (const item of content.querySelectorAll("li")) addTaskBox(item);
  for (const block of content.querySelectorAll("pre")) dressCode(block, labels, complete);
  for (const formula of content.querySelectorAll(".math-inline, .math-block")) drawFormula(formula);
  for (const table of content.querySelectorAll("table")) wrap(table, "table-scroll");
  return content;
}

// Without `href` no web view resolves the name, offers to download it or lets it be dragged to the address bar.
function disarm(link: HTMLAnchorElement): void {
  const address = link.getAttribute("href");
  link.removeAttribute("href");
  if (!address) return;
  link.dataset["url"] = address;
  link.title = address;
  link.setAttribute("role", "link");
  link.tabIndex = 0;
}

const TASK = /^\[([ xX])\]\s/;

function addTaskBox(item: HTMLLIElement): void {
  const first = item.firstElementChild?.localName === "p" ? item.firstElementChild.firstChild : item.firstChild;
  const mark = first?.nodeType === Node.TEXT_NODE ? TASK.exec(first.textContent ?? "") : null;
  if (!first || !mark) return;
  const box = document.createElement("input");
  box.type = "checkbox";
  box.disabled = true;
  // The attribute and not the property: it survives when the nodes are compared with those on screen.
  if (mark[1] !== " ") box.setAttribute("checked", "");
  first.textContent = (first.textContent ?? "").slice(mark[0].length);
  box.setAttribute("aria-label", first.textContent);
  first.parentNode?.insertBefore(box, first);
  item.className = "task";
}

function dressCode(block: HTMLPreElement, labels: Labels, complete: boolean): void {
  const code = block.querySelector("code");
  const language = /^language-(\S+)$/.exec(code?.className ?? "")?.[1];
  const coloured = code && language ? highlight(code.textContent, language, complete) : null;
  if (coloured) code?.replaceChildren(coloured);
  const header = document.createElement("div");
  header.className = "code-header";
  const name = document.createElement("span");
  name.textContent = language?.toLowerCase() ?? labels.plainText;
  header.append(name);
  if (complete) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "code-copy";
    button.textContent = labels.copy;
    button.setAttribute("aria-label", labels.copyCode);
    header.append(button);
  }
  // Wide code scrolls sideways, and a keyboard has to reach it.
  block.tabIndex = 0;
  wrap(block, "code-block").prepend(header);
}

// A formula that is still being written is shown as TeX: half of it means nothing, or something else.
function drawFormula(element: Element): void {
  const tex = element.textContent;
  if (tex.endsWith(UNFINISHED)) element.textContent = tex.slice(0, -UNFINISHED.length);
  else formulas.draw(element, tex, element.className === "math-block");
}

function wrap(element: Element, className: string): HTMLElement {
  const box = document.createElement("div");
  box.className = className;
  element.replaceWith(box);
  box.append(element);
  return box;
}
