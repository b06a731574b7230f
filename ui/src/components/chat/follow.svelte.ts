/** How near to the end, in pixels, counts as being there. */
const NEAR = 24;

/** Keeps a growing list at its end, until the user scrolls up; then it stays where the user is. */
export class FollowEnd {
  following = $state(true);
  #view: HTMLElement | null = null;
  #top = 0;

  /** An attachment for the element that scrolls; its first child is what grows. */
  readonly attach = (view: HTMLElement): (() => void) => {
    this.#view = view;
    const onScroll = () => this.#scrolled(view);
    const observer = new ResizeObserver(() => this.following && this.toEnd());
    view.addEventListener("scroll", onScroll, { passive: true });
    observer.observe(view);
    if (view.firstElementChild) observer.observe(view.firstElementChild);
    return () => {
      view.removeEventListener("scroll", onScroll);
      observer.disconnect();
      this.#view = null;
    };
  };

  toEnd(): void {
    this.following = true;
    if (this.#view) this.#view.scrollTop = this.#view.scrollHeight;
  }

  /** Something else has scrolled: follows from here on only where that is the end. */
  settle(): void {
    const view = this.#view;
    if (!view) return;
    this.following = view.scrollHeight - view.clientHeight - view.scrollTop <= NEAR;
    this.#top = view.scrollTop;
  }

  /** Scrolls by most of what is visible, so that a line or two carries over. */
  page(direction: 1 | -1): void {
    this.#view?.scrollBy({ top: direction * this.#view.clientHeight * 0.85 });
  }

  #scrolled(view: HTMLElement): void {
    const left = view.scrollHeight - view.clientHeight - view.scrollTop;
    // Text that grows never moves the view up, so moving up is the user's doing, unless the end itself came up.
    if (view.scrollTop < this.#top) this.following = left <= 1;
    else if (left <= NEAR) this.following = true;
    this.#top = view.scrollTop;
  }
}
