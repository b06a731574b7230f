import { flushSync, mount, unmount } from "svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { words } from "../i18n/index.svelte";
import { render } from "../markdown/render";
import type { Conversation } from "../stores/conversation.svelte";
import { Conversations } from "../stores/conversations.svelte";
import { LinkPrompt } from "../stores/link.svelte";
import { ModelStore } from "../stores/model.svelte";
import { ModelsStore } from "../stores/models.svelte";
import { Navigation } from "../stores/navigation.svelte";
import { FakeBackend, atOnce, done, message, settle, snapshot, summary, switched, token, view } from "../test/backend";
import ChatInTest from "../test/ChatInTest.svelte";
import { FakeModels } from "../test/models";

vi.mock("../markdown/render", { spy: true });

let backend: FakeBackend;
let conversations: Conversations;
let conversation: Conversation;
let navigation: Navigation;
let page: object;

beforeEach(async () => {
  words.language = "en";
  backend = new FakeBackend();
  conversations = new Conversations(backend, atOnce);
  conversation = conversations.current;
  navigation = new Navigation();
  const model = new ModelStore(backend);
  page = mount(ChatInTest, { target: document.body, props: { conversations, links: new LinkPrompt(backend), model, models: new ModelsStore(new FakeModels()), navigation } });
  await Promise.all([model.follow(), conversations.follow()]);
  await update();
});

afterEach(async () => {
  await unmount(page);
  document.body.replaceChildren();
});

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
  // Once for what happened, once for the sizes that the list asks for.
  for (let turn = 0; turn < 3; turn += 1) {
    await settle();
    flushSync();
  }
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
    expect(one("question-text").textContent).toBe("Hello?");
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
    expect(backend.asked).toHaveLength(2);
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
    backend.emit({ type: "silent" });
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
    expect(backend.stopped).toEqual([]);
    one("link-cancel").click();
    await update();
    await press("Escape");
    expect(backend.stopped).toEqual([1]);
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
    expect(one("new-chat").getAttribute("aria-label")).toBe("Nouvelle discussion");
    expect(one("send").textContent).toContain("Envoyer");
  });

  it("asks for another answer, and goes back and forth between the two", async () => {
    const question = message(1, "user", "One?");
    const [first, second] = [2, 3].map((id) => message(id, "assistant", `answer ${id}`, { siblings: [2, 3] }));
    if (!first || !second) throw new Error("two answers");
    backend.views.set(4, view(4, [question, first]));
    conversation.show(view(4, [question, second]));
    await update();
    expect(one("branches").textContent).toContain("2/2");
    one("previous-version").click();
    await update();
    expect(one("answer-text").textContent?.trim()).toBe("answer 2");
    expect(one("branches").textContent).toContain("1/2");
    one("regenerate").click();
    await update();
    expect(backend.asked).toEqual(["regenerate 4 2"]);
  });

  it("lets a question be said in other words", async () => {
    await ask("Helo?");
    backend.emit(token("Yes."), done());
    await update();
    one("edit").click();
    await update();
    const field = one("edit-field") as HTMLTextAreaElement;
    expect(field.value).toBe("Helo?");
    field.value = "Hello?";
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
    await update();
    expect(field.value).toBe("Hello?");
    await press("Enter");
    expect(backend.asked.at(-1)).toMatch(/^edit 1 \d+ Hello\?$/);
    expect(document.activeElement).toBe(one("composer"));
  });

  it("marks the place where the answer changed its profile, and is read out whole", async () => {
    await ask("Hello?");
    backend.emit(token("Once"), switched("cpu_fallback", 4), token(" more"));
    await update();
    expect(one("notice-switched").dataset["profile"]).toBe("cpu_fallback");
    expect(one("notice-switched").textContent).toContain("Reason: VRAM 95 %");
  });

  it("shows no more nodes for ten thousand messages than a screen takes", async () => {
    const messages = Array.from({ length: 10_000 }, (_, index) =>
      message(index + 1, index % 2 === 0 ? "user" : "assistant", `message ${index}`));
    conversation.show(view(4, messages));
    await update();
    expect(document.querySelectorAll("article").length).toBeGreaterThan(2);
    expect(document.querySelectorAll("article").length).toBeLessThan(60);
  });

  it("exports and renames a conversation from its menu", async () => {
    conversations.put(summary(1));
    await update();
    const choose = async (item: string) => {
      one("conversation-menu").focus();
      await press("Enter");
      one(item).focus();
      await press("Enter");
      await vi.waitFor(() => expect(all(item)).toHaveLength(0));
    };
    await choose("menu-markdown");
    expect(backend.exported).toEqual([[1, "markdown"]]);
    await vi.waitFor(() => expect(document.activeElement).toBe(one("conversation-menu")));
    await choose("menu-rename");
    expect(document.activeElement).toBe(one("rename"));
  });

  it("renames a conversation in its place", async () => {
    conversations.list = [summary(1, { title: "Old" })];
    await update();
    document.querySelector<HTMLElement>("[data-row]")?.dispatchEvent(new MouseEvent("dblclick", { bubbles: true }));
    await update();
    const field = one("rename") as HTMLInputElement;
    expect(document.activeElement).toBe(field);
    field.value = "New";
    await press("Enter");
    expect(one("conversation").textContent?.trim()).toBe("New");
  });

  it("deletes with the Delete key and takes it back", async () => {
    conversations.list = [summary(1, { title: "Old" })];
    await update();
    document.querySelector<HTMLElement>("[data-row]")?.focus();
    await press("Delete");
    expect(all("conversation")).toHaveLength(0);
    expect(one("toast-deleted").textContent).toContain("“Old” was deleted");
    one("undo").click();
    await update();
    expect(one("conversation").textContent?.trim()).toBe("Back");
  });

  it("shows what a search found as text", async () => {
    conversations.list = [summary(1, { title: "About <b>" })];
    conversations.query = "b";
    conversations.hits = [
      {
        conversation: summary(1, { title: "About <b>" }),
        title: [{ text: "About <", found: false }, { text: "b", found: true }, { text: ">", found: false }],
        message: 5,
        snippet: [{ text: "<img src=x>", found: false }],
      },
    ];
    await update();
    expect(one("search-hit").querySelector("mark")?.textContent).toBe("b");
    expect(one("search-hit").querySelector("img")).toBeNull();
    expect(one("search-hit").textContent).toContain("<img src=x>");
  });

  it("tells what happened to damaged conversations until it is dismissed", async () => {
    backend.changeStore({ type: "restored", backup_ms: 0, kept_as: "conversations.damaged-1.db" });
    await update();
    expect(one("store-notice").textContent).toContain("conversations.damaged-1.db");
    one("dismiss-store-notice").click();
    await update();
    expect(all("store-notice")).toHaveLength(0);
  });

  it("tells all there is to know of the store, one below the other, quietly where all is well", async () => {
    backend.changeStore({ type: "missing", backup_ms: 0 }, { type: "not_saved", details: "disk full" });
    await update();
    expect(all("store-notice").map(({ dataset }) => dataset["type"])).toEqual(["missing", "not_saved"]);
    expect(all("store-notice").map((notice) => notice.getAttribute("role"))).toEqual(["alert", "alert"]);
    expect(all("store-notice")[1]?.textContent).toContain("could not be saved: disk full.");
    backend.changeStore({ type: "missing", backup_ms: 0 }, { type: "saved" });
    await update();
    expect(all("store-notice").map((notice) => notice.getAttribute("role"))).toEqual(["alert", "status"]);
    expect(all("dismiss-store-notice")).toHaveLength(1);
    one("dismiss-store-notice").click();
    await update();
    expect(all("store-notice")).toHaveLength(0);
  });

  it("copies where the damaged file is, and shows nothing to copy where there is none", async () => {
    const writeText = vi.fn(async () => undefined);
    vi.stubGlobal("navigator", { ...navigator, clipboard: { writeText } });
    const copy = () => one("store-notice").querySelector<HTMLButtonElement>(`[title="${words.t.store.copyFile}"]`);
    backend.changeStore({ type: "emptied", kept_as: "/data/conversations.damaged-1.db" });
    await update();
    copy()?.click();
    await update();
    expect(writeText).toHaveBeenCalledWith("/data/conversations.damaged-1.db");
    expect(copy()?.textContent).toContain(words.t.app.copied);
    backend.changeStore({ type: "not_kept", details: "read-only file system" });
    await update();
    expect(one("store-notice").textContent).toContain("read-only file system");
    expect(copy()).toBeNull();
    vi.unstubAllGlobals();
  });

  it("keeps instructions and sampling with the conversation", async () => {
    one("conversation-settings").click();
    await update();
    const prompt = one("system-prompt") as HTMLTextAreaElement;
    prompt.value = "Be brief.";
    prompt.dispatchEvent(new InputEvent("input", { bubbles: true }));
    const seed = one("seed") as HTMLInputElement;
    seed.value = "-1";
    seed.dispatchEvent(new Event("change", { bubbles: true }));
    await update();
    expect(seed.getAttribute("aria-invalid")).toBe("true");
    seed.value = "7";
    seed.dispatchEvent(new Event("change", { bubbles: true }));
    one("settings-done").click();
    await update();
    expect(backend.settings).toMatchObject({ system_prompt: "Be brief.", seed: 7, temperature: null });
    expect(navigation.dialog).toBeNull();
  });
});
