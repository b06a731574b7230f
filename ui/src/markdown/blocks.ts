// Cuts a growing answer into blocks, so that each frame parses and draws the last one only.

import { parse, type Definitions } from "./parser";

/** A piece of an answer that can be drawn on its own. */
export interface Block {
  source: string;
  /** The link definitions of the whole answer; none are used before it is complete. */
  definitions: Definitions;
  /** Whether more text may still change it. */
  open: boolean;
}

/** The blocks of one answer. Feed it the text as it grows. */
export class BlockStream {
  #text = "";
  #blocks: Block[] = [];

  /** The blocks of `text`; `complete` says that nothing follows. Unchanged blocks are the same objects. */
  update(text: string, complete: boolean): readonly Block[] {
    if (!text.startsWith(this.#text)) this.#blocks = [];
    this.#text = text;
    this.#blocks = complete ? this.#finish(text) : this.#extend(text);
    return this.#blocks;
  }

  #extend(text: string): Block[] {
    const settled = this.#blocks.filter((block) => !block.open);
    const start = settled.reduce((length, block) => length + block.source.length, 0);
    return [...settled, ...cut(text.slice(start), {}, false)];
  }

  // A definition at the end may make a link of something far above, hence the whole text once more.
  #finish(text: string): Block[] {
    const definitions: Definitions = {};
    parse(text, definitions);
    const reuse = definitions.references === undefined;
    return cut(text, definitions, true).map((block, index) => {
      const old = this.#blocks[index];
      return reuse && old && !old.open && old.source === block.source ? old : block;
    });
  }
}

function cut(text: string, definitions: Definitions, complete: boolean): Block[] {
  const lines = text.split("\n");
  const blocks: Block[] = [];
  let from = 0;
  for (const token of parse(text, { ...definitions })) {
    const line = token.level === 0 && token.map ? token.map[0] : 0;
    // Only behind a blank line can later text no longer join a block to the one above it.
    if (line <= from || lines[line - 1]?.trim() !== "") continue;
    blocks.push({ source: `${lines.slice(from, line).join("\n")}\n`, definitions, open: false });
    from = line;
  }
  const rest = lines.slice(from).join("\n");
  if (rest !== "") blocks.push({ source: rest, definitions, open: !complete });
  return blocks;
}
