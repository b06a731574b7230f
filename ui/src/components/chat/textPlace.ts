import { BlockStream } from "../../markdown/blocks";
import { render } from "../../markdown/render";

/** Half the height of a line of text, pixels. */
const HALF_LINE = 12;
const labels = { copy: "", copyCode: "", plainText: "" };

/**
 * Where on screen a place in an answer's Markdown stands: pixels from the top of the element that holds its drawn blocks to
 * the middle of the line.
 * `offset` counts UTF-16 code units of the source.
 */
export function lineAt(prose: HTMLElement, text: string, offset: number): number {
  let start = 0;
  const blocks = new BlockStream().update(text, true);
  for (const [index, block] of blocks.entries()) {
    const element = prose.children[index];
    if (!(element instanceof HTMLElement)) return 0;
    const within = offset - start;
    if (within < block.source.length || index === blocks.length - 1) {
      return topOf(prose, element, shownLength(block.source.slice(0, Math.max(within, 0))));
    }
    start += block.source.length;
  }
  return 0;
}

/** How many characters of a block are seen once its marks are gone. */
function shownLength(source: string): number {
  if (source.trim() === "") return 0;
  let length = 0;
  for (const piece of texts(render({ source, definitions: {}, open: true }, labels))) length += piece.data.trim().length;
  return length;
}

function topOf(prose: HTMLElement, block: HTMLElement, characters: number): number {
  const origin = prose.getBoundingClientRect().top;
  let left = characters;
  for (const piece of texts(block)) {
    const length = piece.data.trim().length;
    if (length === 0) continue;
    if (left < length) {
      const range = document.createRange();
      const lead = piece.data.length - piece.data.trimStart().length;
      range.setStart(piece, Math.min(lead + left, piece.data.length - 1));
      range.setEnd(piece, Math.min(lead + left + 1, piece.data.length));
      const box = range.getBoundingClientRect();
      return (box.top + box.bottom) / 2 - origin;
    }
    left -= length;
  }
  // Past the last character: the line that the block ends with.
  const box = block.getBoundingClientRect();
  return Math.max(box.top, box.bottom - HALF_LINE) - origin;
}

/** The pieces of text that the answer itself brought: not the heads of code blocks, not the hidden source of formulas. */
function* texts(root: Node): Generator<Text> {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) =>
    node instanceof Element && node.matches(".code-header, .katex-mathml") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT,
  );
  while (walker.nextNode()) if (walker.currentNode instanceof Text) yield walker.currentNode;
}
