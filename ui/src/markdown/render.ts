import type { Block } from "./blocks";
import { decorate, type Labels } from "./decorate";
import { heal } from "./heal";
import { parse, toHtml } from "./parser";
import { sanitize } from "./sanitize";

/** A block of an answer as nodes that are safe to show: parsed, made safe, then given Workly's own parts. */
export function render(block: Block, labels: Labels): DocumentFragment {
  const source = block.open && !endsInCode(block) ? heal(block.source) : block.source;
  return decorate(sanitize(toHtml(source, block.definitions)), labels, !block.open);
}

/** Whether the text breaks off inside a code block, where every character counts as written. */
function endsInCode({ source, definitions }: Block): boolean {
  const last = parse(source, definitions).findLast((token) => token.map !== null);
  return last?.type === "fence" || last?.type === "code_block";
}
