import { describe, expect, it } from "vitest";
import { render } from "./render";

const labels = { copy: "Copy", copyCode: "Copy code", plainText: "text" };

function show(source: string, open = false): HTMLElement {
  const box = document.createElement("div");
  box.append(render({ source, definitions: {}, open }, labels));
  return box;
}

describe("a rendered answer", () => {
  it("shows a picture as its description and a link", () => {
    const box = show("![a cat](https://pictures.example/cat.png)");
    expect(box.textContent?.trim()).toBe("a cat https://pictures.example/cat.png");
    expect(box.querySelector("a")?.dataset["url"]).toBe("https://pictures.example/cat.png");
  });

  it("has links that a keyboard reaches and that lead nowhere by themselves", () => {
    const link = show("See [here](https://example.org/a).").querySelector("a");
    expect(link?.hasAttribute("href")).toBe(false);
    expect(link?.getAttribute("role")).toBe("link");
    expect(link?.tabIndex).toBe(0);
  });

  it("makes links of whole addresses only", () => {
    expect(show("https://example.org and readme.md and me@example.org").querySelectorAll("a")).toHaveLength(1);
  });

  it("shows a link of a dangerous kind as it was written", () => {
    expect(show("[x](javascript:alert)").textContent?.trim()).toBe("[x](javascript:alert)");
  });

  it("shows HTML as it was written, so that no word is lost", () => {
    expect(show("A Vec<T> of <b>things</b>").textContent?.trim()).toBe("A Vec<T> of <b>things</b>");
  });

  it("breaks lines in table cells and lowers indices", () => {
    const box = show("| a |\n|---|\n| x<br>y H<sub>2</sub>O |");
    expect(box.querySelectorAll("td br, td sub")).toHaveLength(2);
  });

  it("aligns the columns of a table without styles", () => {
    const box = show("| a | b |\n|:-:|--:|\n| 1 | 2 |");
    expect([...box.querySelectorAll("td")].map((cell) => cell.className)).toEqual(["align-center", "align-right"]);
    expect(box.querySelector("[style]")).toBeNull();
  });

  it("names the language of code, colours it and offers to copy it", () => {
    const box = show("```python\ndef f(): return 1\n```");
    expect(box.querySelector(".code-header span")?.textContent).toBe("python");
    expect(box.querySelector(".hljs-keyword")?.textContent).toBe("def");
    expect(box.querySelector(".code-copy")?.textContent).toBe("Copy");
    expect(box.querySelector("code")?.textContent).toBe("def f(): return 1\n");
  });

  it("colours a language inside another one", () => {
    const box = show("```html\n<p>x</p><script>let y = 1;</script>\n```");
    expect(box.querySelector("code")?.textContent).toBe("<p>x</p><script>let y = 1;</script>\n");
    expect(box.querySelector(".hljs-keyword")?.textContent).toBe("let");
  });

  it("leaves code of an unknown or no language plain", () => {
    expect(show("```klingon\nqapla' <b>\n```").querySelector("code")?.textContent).toBe("qapla' <b>\n");
    expect(show("```\nx\n```").querySelector(".code-header span")?.textContent).toBe("text");
  });

  it("offers no copy of code that is still being written", () => {
    expect(show("```python\nx = ", true).querySelector(".code-copy")).toBeNull();
  });

  it("shows tasks as boxes that nobody can tick", () => {
    const boxes = show("- [x] done\n- [ ] open\n- other").querySelectorAll("input");
    expect([...boxes].map((box) => [box.checked, box.disabled])).toEqual([[true, true], [false, true]]);
  });
});

describe("an answer that breaks off", () => {
  it.each([
    ["bold text", "some **bol", "some bol", "strong"],
    ["bold text that has just begun", "some **", "some", null],
    ["emphasis", "an *emph", "an emph", "em"],
    ["bold inside emphasis", "a *b **c", "a b c", "em strong"],
    ["a code span", "call `do_it(**", "call do_it(**", "code"],
    ["a link's text", "see [the do", "see the do", null],
    ["a link's address", "see [the docs](https://exa", "see the docs", null],
    ["a picture's address", "see ![a cat](https://exa", "see a cat", null],
    ["a list that has just begun", "Things:\n-", "Things:", null],
    ["a heading that has just begun", "Text\n\n##", "Text", null],
    ["an underline that may be a rule", "Text\n--", "Text", null],
    ["a product", "2 * 3", "2 * 3", null],
  ])("inside %s shows what it is about to be", (_what, source, text, inside) => {
    const box = show(source, true);
    expect(box.textContent?.trim()).toBe(text);
    if (inside) expect(box.querySelector(inside)).not.toBeNull();
    else expect(box.querySelector("strong, em, a, h1, h2, hr, li")).toBeNull();
  });

  it("inside a fence is code, marks and all", () => {
    const box = show("```sh\nls **\n\n- `x", true);
    expect(box.querySelector("code")?.textContent).toBe("ls **\n\n- `x");
    expect(box.querySelector("strong, li")).toBeNull();
  });

  it.each(["| a | b |", "| a | b |\n", "| a | b |\n|--", "| a | b |\n|---|---|", "| a | b |\n|---|---|\n| 1"])(
    "inside a table is a table: %j",
    (source) => {
      expect([...show(source, true).querySelectorAll("th")].map((cell) => cell.textContent)).toEqual(["a", "b"]);
    },
  );
});
