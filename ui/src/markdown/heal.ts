// The end of an answer being written is often half a mark: `**bol`, `[text](htt`, a lone `-` under a line. Shown
// as it stands it would flicker between two looks, so it is shown as what it is about to be. (`remend` does a part of
// this; it leaves bare list marks, rules, pictures, tables and `\(…\)` as they stand.)

import { UNFINISHED } from "./math";

/** A last line that holds only the beginning of a list, a heading, a rule or an underline. */
const BARE_MARK = /(?:(?:^|\n)[ \t]*(?:[-+*=#>]+|\d+[.)]|[-*+] \[[ xX]?\]?)|\n[ \t]*\d{1,2})[ \t]*$/;
/** A link or picture that lacks its closing bracket or a part of its address. */
const OPEN_LINK = /(?<!\w)!?\[([^[\]\n]*)(?:\](?:\([^()\s]*)?)?$/;
/** The first row of a table, and perhaps the beginning of the line that makes a table of it. */
const TABLE_HEAD = /^(\|[^\n]*)(?:\n[|:\- ]*)?$/;
/** Inline marks, longest first; a whole code span counts as one since nothing inside it does. */
const MARKS = /(`+)(?:(?!\1)[\s\S])*?\1(?!`)|`+|\*\*\*|\*\*|\*|~~/g;

/** What is whole and cannot hold an open formula. */
const WHOLE_MATH_OR_CODE = /(`+)[\s\S]*?\1|\$\$[\s\S]*?\$\$|\\\([\s\S]*?\\\)|\\\[[\s\S]*?\\\]/g;
/** A formula that lacks its end; a lone dollar may as well be a price. */
const OPEN_MATH = /(?:^|[^\\])(\$\$|\\\(|\\\[)(?:(?!\$\$|\\\(|\\\[)[\s\S])*$/;
const MATH_END: Record<string, string> = { "$$": "$$", "\\(": "\\)", "\\[": "\\]" };

/** The source of the last block with its open marks closed; the source itself where none is open. */
export function heal(source: string): string {
  const formula = healMath(source);
  if (formula !== null) return formula;
  const start = source.lastIndexOf("\n\n") + 1;
  const tail = source.slice(start).replace(/^\n/, "");
  const head = source.slice(0, source.length - tail.length);
  const row = TABLE_HEAD.exec(tail)?.[1];
  if (row !== undefined) return head + asTable(row.trimEnd());
  return head + close(tail.replace(BARE_MARK, "").replace(OPEN_LINK, "$1"));
}

/** The source with its open formula closed and marked as unfinished; null where none is open. */
function healMath(source: string): string | null {
  const masked = source.replace(WHOLE_MATH_OR_CODE, (whole) => "x".repeat(whole.length));
  const open = OPEN_MATH.exec(masked);
  const mark = open?.[1];
  if (!open || mark === undefined) return null;
  const at = open.index + open[0].indexOf(mark);
  // Half an end mark is no part of the formula.
  const tex = source.slice(at + mark.length).replace(/[\\$]$/, "").trimEnd();
  if (tex === "") return source.slice(0, at).trimEnd();
  return `${source.slice(0, at)}${mark}${tex}${UNFINISHED}${MATH_END[mark] ?? ""}`;
}

function asTable(row: string): string {
  const cells = row.split(/(?<!\\)\|/).length - (row.endsWith("|") ? 2 : 1);
  return cells > 0 ? `${row}\n${"|---".repeat(cells)}|` : "";
}

function close(text: string): string {
  const open: string[] = [];
  for (const match of text.matchAll(MARKS)) {
    const mark = match[0];
    if (match[1] !== undefined) continue;
    // The rest of an open code span is code: no other mark counts any more.
    if (mark.startsWith("`")) return closeWith(text, [...open, mark]);
    if (open.at(-1) === mark) open.pop();
    else if (opens(text, match.index + mark.length)) open.push(mark);
  }
  return closeWith(text, open);
}

/** A mark opens only right before a word: `2 * 3` is a product. At the very end it may still become anything. */
function opens(text: string, after: number): boolean {
  return after === text.length || /\S/.test(text.charAt(after));
}

function closeWith(text: string, open: string[]): string {
  const last = open.at(-1);
  if (last === undefined) return text;
  // A mark with nothing behind it yet has nothing to format.
  if (text.endsWith(last)) return closeWith(text.slice(0, -last.length), open.slice(0, -1));
  return text.trimEnd() + open.toReversed().join("");
}
