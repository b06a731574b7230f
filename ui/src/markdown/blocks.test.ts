import { describe, expect, it } from "vitest";
import { BlockStream, type Block } from "./blocks";
import { morph } from "./morph";
import { render } from "./render";

const labels = { copy: "Copy", copyCode: "Copy code", plainText: "text" };

const sample = `# Title

A paragraph with **bold**, *emphasis* and \`code\`.
Next line
---

1. one

   \`\`\`python
   def f():

       return 1
   \`\`\`
2. two
   - inner **x**

\`\`\`rust
fn main() {

    println!("- no list | no table");
}
\`\`\`

| a | b |
|---|--:|
| 1 | 2 |

> quoted
> text

See [the docs][d] and ***all*** of it * 2.

- [x] done

[d]: https://example.org/docs
`;

const drawn = new WeakMap<HTMLElement, Block>();

/** Does what `Markdown.svelte` does: draws the blocks that changed. */
function draw(stream: BlockStream, screen: HTMLElement, text: string, complete: boolean): void {
  const blocks = stream.update(text, complete);
  while (screen.children.length > blocks.length) screen.lastElementChild?.remove();
  blocks.forEach((block, index) => {
    const node = (screen.children[index] as HTMLElement | undefined) ?? screen.appendChild(document.createElement("div"));
    if (drawn.get(node) === block) return;
    drawn.set(node, block);
    morph(node, render(block, labels));
  });
}

function whole(text: string): string {
  const box = document.createElement("div");
  draw(new BlockStream(), box, text, true);
  return box.innerHTML;
}

describe("an answer that grows letter by letter", () => {
  it("ends exactly as if it had come at once", () => {
    const stream = new BlockStream();
    const screen = document.createElement("div");
    for (let end = 1; end <= sample.length; end += 1) draw(stream, screen, sample.slice(0, end), false);
    draw(stream, screen, sample, true);
    expect(screen.innerHTML).toBe(whole(sample));
    expect(screen.querySelector("a")?.dataset["url"]).toBe("https://example.org/docs");
  });

  it("never shows a mark that the whole answer does not show", () => {
    const stream = new BlockStream();
    const text = "Some **bold** and `code` and [a link](https://example.org).\n\n- **x**: y\n- z\n";
    for (let end = 1; end <= text.length; end += 1) {
      const screen = document.createElement("div");
      draw(stream, screen, text.slice(0, end), false);
      expect(screen.textContent, JSON.stringify(text.slice(0, end))).not.toMatch(/[*`[\]]/);
    }
  });

  it("never changes a block above the last one", () => {
    const stream = new BlockStream();
    let before: readonly object[] = [];
    for (let end = 1; end <= sample.length; end += 1) {
      const blocks = stream.update(sample.slice(0, end), false);
      before.slice(0, -1).forEach((block, index) => expect(blocks[index]).toBe(block));
      before = blocks;
    }
  });

  it("loses no character in its blocks", () => {
    const stream = new BlockStream();
    for (let end = 1; end <= sample.length; end += 7) {
      const text = sample.slice(0, end);
      expect(stream.update(text, false).map((block) => block.source).join("")).toBe(text);
    }
  });

  it("keeps its finished blocks when it completes", () => {
    const stream = new BlockStream();
    const text = "one\n\ntwo\n\nthree";
    const growing = stream.update(text, false);
    const complete = stream.update(text, true);
    expect(complete[0]).toBe(growing[0]);
    expect(complete.every((block) => !block.open)).toBe(true);
  });
});

describe("drawing over what is on screen", () => {
  it("keeps nodes that are still right, and with them a selection", () => {
    const stream = new BlockStream();
    const screen = document.createElement("div");
    draw(stream, screen, "Hello **wor", false);
    const strong = screen.querySelector("strong");
    const text = strong?.firstChild;
    draw(stream, screen, "Hello **world** and all", false);
    expect(screen.querySelector("strong")).toBe(strong);
    expect(strong?.firstChild).toBe(text);
    expect(screen.textContent?.trim()).toBe("Hello world and all");
  });

  it("keeps what the user has selected in a text that grows", () => {
    const stream = new BlockStream();
    const screen = document.body.appendChild(document.createElement("div"));
    const select = (selector: string, from: number, to: number) => {
      const text = screen.querySelector(selector)?.firstChild;
      if (text) document.getSelection()?.setBaseAndExtent(text, from, text, to);
    };
    draw(stream, screen, "Hello wor", false);
    select("p", 2, 8);
    draw(stream, screen, "Hello world, and **a", false);
    expect(document.getSelection()?.toString()).toBe("llo wo");
    draw(stream, screen, "- one\n- two thi", false);
    select("li:last-child", 1, 6);
    draw(stream, screen, "- one\n- two things\n- three", false);
    expect(document.getSelection()?.toString()).toBe("wo th");
    screen.remove();
  });

  it("keeps code that the user has scrolled, and what is selected in it", () => {
    const stream = new BlockStream();
    const screen = document.body.appendChild(document.createElement("div"));
    draw(stream, screen, "```python\ndef f(x):\n    return x", false);
    const code = screen.querySelector("pre");
    const keyword = screen.querySelector(".hljs-keyword")?.firstChild;
    if (keyword) document.getSelection()?.setBaseAndExtent(keyword, 0, keyword, 3);
    draw(stream, screen, "```python\ndef f(x):\n    return x + 1\n\ndef g(): pass", false);
    expect(screen.querySelector("pre")).toBe(code);
    expect(document.getSelection()?.toString()).toBe("def");
    draw(stream, screen, "```python\ndef f(x):\n    return x + 1\n\ndef g(): pass\n```\n\nDone.", true);
    expect(screen.querySelector("pre")).toBe(code);
    screen.remove();
  });

  it("replaces, adds and removes what changed", () => {
    const screen = document.createElement("div");
    screen.innerHTML = `<p class="a" title="t">x</p><ul><li>1</li></ul><hr>`;
    const html = `<p class="b">y</p><ol><li>1</li><li>2</li></ol>`;
    morph(screen, document.createRange().createContextualFragment(html));
    expect(screen.innerHTML).toBe(html);
  });
});
