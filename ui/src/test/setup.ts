// What jsdom lacks of a web view. It lays nothing out, so sizes are made up where a component waits for some.

/** Tells that everything that scrolls is this high, and everything in it a tenth of that. */
const HEIGHT = 2_000;

class MadeUpResizeObserver implements ResizeObserver {
  constructor(private readonly callback: ResizeObserverCallback) {}

  observe(target: Element): void {
    const scrolls = target.getAttribute("role") === "log" || target.localName === "nav";
    const contentRect = { width: 800, height: scrolls ? HEIGHT : HEIGHT / 10 } as DOMRectReadOnly;
    queueMicrotask(() => this.callback([{ target, contentRect } as unknown as ResizeObserverEntry], this));
  }

  unobserve(): void {}
  disconnect(): void {}
}
globalThis.ResizeObserver = MadeUpResizeObserver;
Object.defineProperty(HTMLElement.prototype, "offsetParent", { configurable: true, get: () => document.body });
HTMLElement.prototype.scrollTo ??= () => undefined;
HTMLElement.prototype.scrollBy ??= () => undefined;
window.matchMedia ??= (media: string) =>
  ({ matches: false, media, addEventListener: () => undefined, removeEventListener: () => undefined }) as unknown as MediaQueryList;
Range.prototype.getBoundingClientRect ??= () => new DOMRect();

HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
  this.open = true;
};
HTMLDialogElement.prototype.close ??= function (this: HTMLDialogElement) {
  this.open = false;
  this.dispatchEvent(new Event("close"));
};
