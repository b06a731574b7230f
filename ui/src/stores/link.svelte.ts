import type { Backend } from "../ipc/client";
import { toProblem } from "../ipc/problem";
import type { Problem } from "../ipc/wire";

/** The link that the user clicked and has not yet agreed to open. */
export class LinkPrompt {
  url = $state<string | null>(null);
  /** Why the browser could not be opened. */
  problem = $state.raw<Problem | null>(null);

  constructor(private readonly backend: Backend) {}

  ask(url: string): void {
    this.url = url;
    this.problem = null;
  }

  dismiss(): void {
    this.url = null;
  }

  async open(): Promise<void> {
    if (this.url === null) return;
    try {
      await this.backend.openLink(this.url);
      this.dismiss();
    } catch (reason) {
      this.problem = toProblem(reason);
    }
  }
}
