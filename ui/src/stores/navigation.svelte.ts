/** The pages there are, in the order of the navigation. */
export const PAGES = ["chat", "monitor", "models", "settings"] as const;
export type Page = (typeof PAGES)[number];

/** Below this width, in pixels, the list of conversations lies over the chat instead of beside it. */
const NARROW = 760;

/** Where the user is in the window. */
export class Navigation {
  page = $state<Page>("chat");
  /** Whether the list of conversations is shown. */
  sidebar = $state(true);
  /** Whether the list lies over the chat. */
  narrow = $state(false);
  /** The dialog that is open. */
  dialog = $state<"shortcuts" | "conversation" | null>(null);

  /** Follows the window's width, and addresses such as `#settings`. Returns the way to stop. */
  follow(): () => void {
    const query = window.matchMedia(`(max-width: ${NARROW}px)`);
    const update = () => {
      this.narrow = query.matches;
      this.sidebar = !query.matches;
    };
    const open = () => {
      this.page = PAGES.find((page) => `#${page}` === location.hash) ?? "chat";
    };
    update();
    open();
    query.addEventListener("change", update);
    window.addEventListener("hashchange", open);
    return () => {
      query.removeEventListener("change", update);
      window.removeEventListener("hashchange", open);
    };
  }

  /** Opens a page; a page that is reloaded is the one it was. */
  go(page: Page): void {
    this.page = page;
    history.replaceState(null, "", `#${page}`);
  }

  toggleSidebar(): void {
    this.sidebar = !this.sidebar;
  }

  /** After a choice in a list that lies over the chat, the chat is what the user wants to see. */
  chosen(): void {
    if (this.narrow) this.sidebar = false;
  }
}
