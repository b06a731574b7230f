// Colours for code, as nodes.

import type { Emitter } from "highlight.js";
import { hljs } from "./grammars";

/**
 * Writes coloured code as nodes. Going through HTML would cost a parse and a second look by the sanitiser for
 * thousands of spans with every frame; text nodes and class names made here need neither.
 */
class NodeEmitter implements Emitter {
  readonly root = document.createDocumentFragment();
  #inside: Node = this.root;

  addText(text: string): void {
    const last = this.#inside.lastChild;
    if (last instanceof Text) last.appendData(text);
    else if (text !== "") this.#inside.appendChild(document.createTextNode(text));
  }

  startScope(scope: string): void {
    const span = document.createElement("span");
    // `title.function` is coloured like `title`.
    span.className = `hljs-${scope.split(".", 1)[0]}`;
    this.#inside = this.#inside.appendChild(span);
  }

  endScope(): void {
    this.#inside = this.#inside.parentNode ?? this.root;
  }

  // The engine uses these names too, though its types leave them out.
  openNode(scope: string): void {
    this.startScope(scope);
  }

  closeNode(): void {
    this.endScope();
  }

  __addSublanguage(emitter: Emitter): void {
    if (emitter instanceof NodeEmitter) this.#inside.appendChild(emitter.root);
  }

  finalize(): void {
    this.#inside = this.root;
  }

  toHTML(): string {
    return "";
  }
}
hljs.configure({ __emitter: NodeEmitter });

/** Longer code is coloured piece by piece even when it is complete, so that no frame waits for all of it. */
const LONGEST_WHOLE = 12_000;
/** How many characters a piece has at least, and at most where it offers no good place to end. */
const PIECE = 1_500;
const LONGEST_PIECE = 3_000;
/** How many coloured pieces are kept for the next frame. */
const KEPT = 64;

/** The code as text and coloured spans; null where it stays plain. `complete` says that no more code follows. */
export function highlight(code: string, language: string, complete: boolean): DocumentFragment | null {
  if (!hljs.getLanguage(language)) return null;
  if (complete && code.length <= LONGEST_WHOLE) return colour(code, language);
  const whole = document.createDocumentFragment();
  for (const piece of cut(code)) {
    const box = whole.appendChild(document.createElement("span"));
    // A block of its own, so that the web view lays out the last piece only.
    box.className = "code-piece";
    box.append(recall(piece, language).cloneNode(true));
  }
  return whole;
}

function colour(code: string, language: string): DocumentFragment {
  const emitter = hljs.highlight(code, { language, ignoreIllegals: true })._emitter;
  // A grammar that fails stops half-way; colours may be lost, text never.
  if (emitter instanceof NodeEmitter && emitter.root.textContent === code) return emitter.root;
  const plain = document.createDocumentFragment();
  plain.append(code);
  return plain;
}

const kept = new Map<string, DocumentFragment>();

function recall(piece: string, language: string): DocumentFragment {
  const key = `${language} ${piece}`;
  const coloured = kept.get(key) ?? colour(piece, language);
  // Asked for last, forgotten last.
  kept.delete(key);
  kept.set(key, coloured);
  for (const oldest of kept.keys()) if (kept.size > KEPT) kept.delete(oldest);
  return coloured;
}

/** Cuts between the parts of a program, at places that stay the same while code is added at the end. */
function cut(code: string): string[] {
  const pieces: string[] = [];
  let from = 0;
  while (code.length - from > PIECE) {
    const end = nextCut(code, from);
    if (end === null) break;
    pieces.push(code.slice(from, end));
    from = end;
  }
  return [...pieces, code.slice(from)];
}

function nextCut(code: string, from: number): number | null {
  const part = /\n\n(?=\S)/.exec(code.slice(from + PIECE, from + LONGEST_PIECE));
  if (part) return from + PIECE + part.index + part[0].length;
  const line = code.indexOf("\n", from + LONGEST_PIECE);
  return line === -1 ? null : line + 1;
}
