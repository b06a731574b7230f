import { describe, expect, it } from "vitest";
import { hostile } from "../test/hostile";
import { render } from "./render";
import { sanitize } from "./sanitize";

const labels = { copy: "Copy", copyCode: "Copy code", plainText: "text" };
const TAGS =
  /^(a|blockquote|br|code|del|em|h[1-6]|hr|li|ol|p|pre|s|strong|sub|sup|table|tbody|td|th|thead|tr|ul)$/;
const CLASSES = /^(language-|align-)\S+$/;

/** Everything in the nodes that is more than plain formatting; Workly's own parts are allowed where they belong. */
function findings(root: ParentNode, ownParts: boolean): string[] {
  const found: string[] = [];
  for (const element of root.querySelectorAll("*")) {
    const name = element.localName;
    const own =
      ownParts &&
      (element.matches("div.code-block, div.code-header, div.table-scroll, .code-header > span, .code-header > button.code-copy") ||
        element.matches("li.task > input[type=checkbox][disabled]") ||
        (element.matches("pre > code span") && /^(hljs-[\w-]+|code-piece)$/.test(element.className)));
    if (!own && (!TAGS.test(name) || element.namespaceURI !== "http://www.w3.org/1999/xhtml")) found.push(`<${name}>`);
    for (const { name: attribute, value } of element.attributes) {
      if (!isPlain(element, attribute, value, ownParts, own)) found.push(`<${name} ${attribute}="${value}">`);
    }
  }
  return found;
}

function isPlain(element: Element, attribute: string, value: string, ownParts: boolean, own: boolean): boolean {
  if (attribute === "start") return element.localName === "ol";
  if (attribute === "class") {
    return own || (ownParts && value === "task") || value.split(" ").every((part) => CLASSES.test(part));
  }
  const web = /^(https?:\/\/|mailto:)/.test(value);
  if (!ownParts) return attribute === "href" && element.localName === "a" && web;
  if (own) return ["type", "disabled", "checked", "aria-label"].includes(attribute);
  if (element.localName === "pre") return attribute === "tabindex";
  if (element.localName !== "a") return false;
  return ["role", "tabindex"].includes(attribute) || (["data-url", "title"].includes(attribute) && web);
}

function reparsed(content: DocumentFragment): HTMLElement {
  const written = document.implementation.createHTMLDocument().createElement("div");
  written.append(content);
  const read = document.implementation.createHTMLDocument().createElement("div");
  read.innerHTML = written.innerHTML;
  return read;
}

describe.each(Object.entries(hostile))("%s", (_name, payload) => {
  it("comes out of the whole pipeline as plain formatting", () => {
    for (const open of [false, true]) {
      expect(findings(render({ source: payload, definitions: {}, open }, labels), true)).toEqual([]);
    }
  });

  it("comes out of the sanitiser alone as plain formatting", () => {
    expect(findings(sanitize(payload), false)).toEqual([]);
  });

  it("stays plain when it is written out and read again", () => {
    expect(findings(reparsed(sanitize(payload)), false)).toEqual([]);
  });
});

describe("the sanitiser", () => {
  it("is tried with at least 25 payloads", () => {
    expect(Object.keys(hostile).length).toBeGreaterThanOrEqual(25);
  });

  it("would be caught by this test if it let something through", () => {
    const read = document.createElement("div");
    read.innerHTML = `<img src="https://evil.example"><p style="color:red">x</p><a href="javascript:1">y</a>`;
    expect(findings(read, false)).toHaveLength(4);
  });

  it("lets plain formatting through unharmed", () => {
    const html = `<h2>T</h2><p><strong>b</strong> <em>i</em> <s>d</s> <code>c</code></p><ol start="3"><li>x</li></ol>`;
    const box = document.createElement("div");
    box.append(sanitize(html));
    expect(box.innerHTML).toBe(html);
  });
});
