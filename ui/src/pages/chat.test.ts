import { flushSync, mount, unmount } from "svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { words } from "../i18n/index.svelte";
import { render } from "../markdown/render";
import { Conversation } from "../stores/conversation.svelte";
import { LinkPrompt } from "../stores/link.svelte";
import { ModelStore } from "../stores/model.svelte";
import { FakeBackend, atOnce, done, settle, snapshot, token } from "../test/backend";
import Chat from "./Chat.svelte";

vi.mock("../markdown/render", { spy: true });

let backend: FakeBackend;
let conversation: Conversation;
let page: object;

beforeEach(async () => {
  words.language = "en";
  backend = new FakeBackend();
  conversation = new Conversation(backend, atOnce);
  const model = new ModelStore(backend);
  page = mount(Chat, { target: document.body, props: { conversation, links: new LinkPrompt(backend), model } });
  await model.follow();
  flushSync();
});

afterEach(() => unmount(page));

function all(testid: string): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>(`[data-testid="${testid}"]`)];
}

function one(testid: string): HTMLElement {
  const [found] = all(testid);
  if (!found) throw new Error(`nothing with data-testid="${testid}"`);
  return found;
}

async function ask(text: string): Promise<void> {
  conversation.draft = text;
  conversation.send();
  await update();
}

async function update(): Promise<void> {
  await settle();
  flushSync();
}

async function press(key: string, init: KeyboardEventInit = {}): Promise<void> {
  document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...init }));
  await update();
}

describe("the chat page", () => {
  it("fills the composer with a suggestion", async () => {
    one("suggestion").click();
    await update();
    expect((one("composer") as HTMLTextAreaElement).value).toContain("GPU");
    expect(document.activeElement).toBe(one("composer"));
  });

  it("shows an answer as it grows and how it went", async () => {
    await ask("Hello?");
    expect(one("message-user").textContent).toBe("Hello?");
    expect(one("message-assistant").dataset["state"]).toBe("streaming");
    backend.emit(token("Hello **you**"));
    await update();
    expect(one("answer-text").querySelector("strong")?.textContent).toBe("you");
    backend.emit(done({ tokens_per_second: 85.25, stop: "context" }));
    await update();
    expect(one("message-assistant").dataset["state"]).toBe("done");
    expect(one("answer-footer").textContent).toContain("85.3 tokens/s · first token 120\u00a0ms · context full");
  });

  it("says what it waits for", async () => {
    await ask("Hello?");
    backend.emit({ type: "prompt", done: 128, total: 512, dropped_turns: 3 });
    await update();
    expect(one("waiting").textContent).toContain("Reading… 128/512");
    expect(one("notice-dropped").textContent).toContain("3 older turns were left out");
    backend.changeModel(snapshot({ state: "loading", load_fraction: 0.43 }));
    await update();
    expect(one("waiting").textContent).toContain("loading");
    expect(one("model-state").textContent?.trim()).toBe("Loading… 43%");
  });

  it("keeps the text when the model's process dies, says why, and asks again", async () => {
    await ask("Hello?");
    backend.emit(token("Half an answer"), { type: "failed", code: "worker_killed", message: "Killed.", details: "signal 9" });
    await update();
    expect(one("answer-text").textContent?.trim()).toBe("Half an answer");
    expect(one("problem").dataset["code"]).toBe("worker_killed");
    expect(one("problem").textContent).toContain("signal 9");
    one("retry").click();
    await update();
    expect(all("problem")).toHaveLength(0);
    expect(backend.requests).toHaveLength(2);
    expect(document.activeElement).toBe(one("composer"));
  });

  it("offers to try again on the last answer only", async () => {
    await ask("One?");
    backend.emit({ type: "failed", code: "worker_crashed", message: "" });
    await ask("Two?");
    expect(all("problem")).toHaveLength(1);
    expect(all("retry")).toHaveLength(0);
  });

  it("says quietly that the model's process is silent, until it resumes", async () => {
    await ask("Hello?");
    backend.emit({ type: "silent", message: "" });
    await update();
    expect(one("notice-silent").getAttribute("role")).toBe("status");
    backend.emit({ type: "resumed" });
    await update();
    expect(all("notice-silent")).toHaveLength(0);
  });

  it("stops the answer with Escape, but not from an input method or a dialog", async () => {
    await ask("Hello?");
    await press("Escape", { isComposing: true });
    backend.emit(token("[x](https://example.org)\n\n"));
    await update();
    document.querySelector<HTMLElement>("[data-url]")?.click();
    await update();
    await press("Escape");
    expect(backend.stops).toBe(0);
    one("link-cancel").click();
    await update();
    await press("Escape");
    expect(backend.stops).toBe(1);
  });

  it("starts a new chat with Ctrl+N", async () => {
    await ask("Hello?");
    backend.emit(done());
    await press("n", { ctrlKey: true });
    expect(all("message-user")).toHaveLength(0);
    expect(all("empty")).toHaveLength(1);
  });

  it("takes letters typed beside the composer into it", async () => {
    (document.activeElement as HTMLElement).blur();
    await press("c", { ctrlKey: true });
    expect(document.activeElement).toBe(document.body);
    await press("h");
    expect(document.activeElement).toBe(one("composer"));
  });

  it("shows where a link leads before the browser opens it", async () => {
    await ask("Hello?");
    backend.emit(token("[my bank](https://bank.example@evil.example/x)"), done());
    await update();
    document.querySelector<HTMLElement>("[data-url]")?.click();
    await update();
    expect(one("link-url").querySelector("strong")?.textContent).toBe("evil.example");
    expect(backend.opened).toEqual([]);
    one("link-open").click();
    await update();
    expect(backend.opened).toEqual(["https://bank.example@evil.example/x"]);
    expect((one("link-dialog") as HTMLDialogElement).open).toBe(false);
  });

  it("says so when the browser cannot be opened", async () => {
    await ask("Hello?");
    backend.emit(token("[x](https://example.org)"), done());
    await update();
    await press("Tab");
    document.querySelector("[data-url]")?.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
    await update();
    backend.failure = { code: "protocol", message: "No browser." };
    one("link-open").click();
    await update();
    expect(one("link-dialog").textContent).toContain("No browser.");
  });

  it("copies code without its header", async () => {
    const writeText = vi.fn(async (_text: string) => undefined);
    vi.stubGlobal("navigator", { ...navigator, clipboard: { writeText } });
    await ask("Hello?");
    backend.emit(token("```sh\nls -l\n```"), done());
    await update();
    document.querySelector<HTMLElement>(".code-copy")?.click();
    await update();
    expect(writeText).toHaveBeenCalledWith("ls -l\n");
    expect(document.querySelector(".code-copy")?.textContent).toBe("Copied");
    vi.unstubAllGlobals();
  });

  it("draws only the block that changed", async () => {
    await ask("Hello?");
    backend.emit(token("one\n\ntwo\n\nthr"));
    await update();
    vi.mocked(render).mockClear();
    backend.emit(token("ee"));
    await update();
    expect(vi.mocked(render).mock.calls.map(([block]) => block.source)).toEqual(["three"]);
  });

  it("shows why the model is not available before anything was asked", async () => {
    backend.changeModel(snapshot({ state: "failed", profile: null, problem: { code: "model_missing", message: "No such file." } }));
    await update();
    expect(one("problem").dataset["code"]).toBe("model_missing");
    expect(one("model-state").dataset["state"]).toBe("failed");
    expect(one("profile-pill").dataset["profile"]).toBe("off");
  });

  it("speaks French", async () => {
    words.language = "fr";
    await update();
    expect(one("new-chat").textContent).toContain("Nouvelle discussion");
    expect(one("send").textContent).toContain("Envoyer");
  });
});
