// Draws formulas. The typesetter is large, so it is fetched from Workly's own files when a first formula comes.

type Typesetter = typeof import("katex").default;

class Formulas {
  /** Whether formulas can be drawn; what was shown as TeX before is drawn again. */
  ready = $state(false);
  #typesetter: Typesetter | null = null;
  #asked = false;

  /** Draws a formula into an element in place of its TeX. Leaves it as it is where that cannot be done. */
  draw(element: Element, tex: string, block: boolean): void {
    if (!this.#typesetter) return this.#load();
    const drawn = document.createElement("span");
    try {
      this.#typesetter.render(tex, drawn, {
        displayMode: block,
        throwOnError: true,
        // Nothing that links, loads or borrows classes; and no formula that takes the machine down.
        trust: false,
        strict: "ignore",
        maxExpand: 200,
        maxSize: 20,
      });
    } catch {
      return;
    }
    drawn.className = block ? "formula-block" : "formula";
    element.replaceWith(drawn);
  }

  #load(): void {
    if (this.#asked) return;
    this.#asked = true;
    void Promise.all([import("katex"), import("katex/dist/katex.min.css")]).then(([module]) => {
      this.#typesetter = module.default;
      this.ready = true;
    });
  }
}

export const formulas = new Formulas();
