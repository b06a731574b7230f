// Formulas in Markdown: `$…$`, `$$…$$`, `\(…\)` and `\[…\]` become plain elements that hold the TeX; drawing them
// comes after everything was made safe. Plugins for this draw at once, know no `\(…\)`,
// miss `$$…$$` inside a line, or spoil a `$&` in TeX.

import type MarkdownIt from "markdown-it";
import type { StateBlock, StateInline } from "markdown-it";

/** Stands at the end of a formula that is still being written. */
export const UNFINISHED = "\u{e002}";

const PAIRS: Record<string, { close: string; block: boolean }> = {
  "$$": { close: "$$", block: true },
  "\\[": { close: "\\]", block: true },
  "\\(": { close: "\\)", block: false },
  "$": { close: "$", block: false },
};

function opening(source: string, at: number): string | null {
  return ["$$", "\\[", "\\(", "$"].find((mark) => source.startsWith(mark, at)) ?? null;
}

function inline(state: StateInline, silent: boolean): boolean {
  const mark = opening(state.src, state.pos);
  const pair = mark === null ? undefined : PAIRS[mark];
  if (mark === null || !pair) return false;
  const from = state.pos + mark.length;
  const end = closing(state.src, from, state.posMax, mark, pair.close);
  if (end === null) return false;
  if (!silent) {
    const token = state.push(pair.block ? "math_block" : "math_inline", "", 0);
    token.content = state.src.slice(from, end).trim();
  }
  state.pos = end + pair.close.length;
  return true;
}

function closing(source: string, from: number, most: number, mark: string, close: string): number | null {
  // A dollar is a price unless it hugs what it opens: `$5 and $6` are two prices, `$x$` is a formula.
  if (mark === "$" && !/[^\s$]/.test(source.charAt(from))) return null;
  for (let end = source.indexOf(close, from); end !== -1 && end < most; end = source.indexOf(close, end + 1)) {
    if (end === from || (close.startsWith("$") && source.charAt(end - 1) === "\\")) continue;
    if (mark !== "$") return end;
    if (/\n\s*\n/.test(source.slice(from, end))) return null;
    if (!/\s/.test(source.charAt(end - 1)) && !/\d/.test(source.charAt(end + 1))) return end;
    return null;
  }
  return null;
}

/** A formula of several lines that begins a line of its own: nothing inside it is Markdown. */
function block(state: StateBlock, startLine: number, endLine: number, silent: boolean): boolean {
  const start = (state.bMarks[startLine] ?? 0) + (state.tShift[startLine] ?? 0);
  const mark = ["$$", "\\["].find((candidate) => state.src.startsWith(candidate, start));
  const close = mark === undefined ? undefined : PAIRS[mark]?.close;
  if (mark === undefined || close === undefined || (state.sCount[startLine] ?? 0) - state.blkIndent >= 4) return false;
  for (let line = startLine; line < endLine; line += 1) {
    const lineStart = line === startLine ? start + mark.length : (state.bMarks[line] ?? 0);
    const text = state.src.slice(lineStart, state.eMarks[line]);
    const at = text.indexOf(close);
    if (at === -1) continue;
    // Something after the formula makes it a part of a sentence.
    if (text.slice(at + close.length).trim() !== "") return false;
    if (silent) return true;
    const token = state.push("math_block", "", 0);
    token.block = true;
    token.content = state.src.slice(start + mark.length, lineStart + at).trim();
    token.map = [startLine, line + 1];
    state.line = line + 1;
    return true;
  }
  return false;
}

/** Teaches a parser formulas. */
export function addMath(parser: InstanceType<typeof MarkdownIt>): void {
  parser.inline.ruler.before("escape", "math", inline);
  parser.block.ruler.before("fence", "math", block, { alt: ["paragraph", "blockquote", "list"] });
  const { escapeHtml } = parser.utils;
  parser.renderer.rules["math_inline"] = (tokens, index) =>
    `<code class="math-inline">${escapeHtml(tokens[index]?.content ?? "")}</code>`;
  parser.renderer.rules["math_block"] = (tokens, index) => {
    const token = tokens[index];
    const code = `<code class="math-block">${escapeHtml(token?.content ?? "")}</code>`;
    return token?.block ? `<p>${code}</p>\n` : code;
  };
}
