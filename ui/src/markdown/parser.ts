// Markdown to HTML text. Its result is not safe yet: `sanitize.ts` is what makes it so.

import MarkdownIt, { type Env, type StateInline, type Token } from "markdown-it";
import { safeUrl } from "./links";
import { addMath } from "./math";

/** What one parse learns and a later one needs: the link definitions of the same text. */
export type Definitions = Env;

// Raw HTML is off, so it is shown as it was written: `Vec<T>` in a sentence stays readable.
const parser = new MarkdownIt({ html: false, linkify: true });
parser.validateLink = (address) => safeUrl(address) !== null;
addMath(parser);
// Only whole addresses become links: `readme.md` and `1.0.is` are no web sites.
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });

// A picture would be fetched; its description and a link say the same without asking anyone.
parser.renderer.rules["image"] = (tokens, index, options, env, renderer) => {
  const token = tokens[index];
  if (!token) return "";
  const address = parser.utils.escapeHtml(String(token.attrGet("src") ?? ""));
  const description = renderer.renderInlineAsText(token.children ?? [], options, env);
  return `${parser.utils.escapeHtml(description)} <a href="${address}">${address}</a>`;
};

// Models write these few tags inside tables and formulas, where Markdown has no words of its own.
const PLAIN_TAG = /^<(?:br\s*\/?|\/?sub|\/?sup)>/i;
parser.inline.ruler.before("html_inline", "plain_tag", (state: StateInline, silent: boolean) => {
  const tag = PLAIN_TAG.exec(state.src.slice(state.pos, state.pos + 8))?.[0];
  if (!tag) return false;
  if (!silent) state.push("html_inline", "", 0).content = tag;
  state.pos += tag.length;
  return true;
});

// Columns are aligned by class, since styles are not let through.
parser.core.ruler.push("align", (state) => {
  for (const token of state.tokens) {
    const align = /text-align:(\w+)/.exec(String(token.attrGet("style") ?? ""))?.[1];
    if (align) token.attrs = [["class", `align-${align}`]];
  }
});

export function parse(source: string, definitions: Definitions): Token[] {
  return parser.parse(source, definitions);
}

export function toHtml(source: string, definitions: Definitions): string {
  return parser.render(source, definitions);
}
