import { flushSync, mount, unmount } from "svelte";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Conversation } from "../../stores/conversation.svelte";
import { FakeBackend, atOnce, done, settle, token } from "../../test/backend";
import Composer from "./Composer.svelte";

let backend: FakeBackend;
let conversation: Conversation;
let component: object;

beforeEach(() => {
  backend = new FakeBackend();
  conversation = new Conversation(backend, undefined, atOnce);
  component = mount(Composer, { target: document.body, props: { conversation } });
  flushSync();
});

afterEach(() => unmount(component));

function find<E extends HTMLElement>(testid: string): E | null {
  return document.querySelector<E>(`[data-testid="${testid}"]`);
}

function write(text: string): void {
  const field = find<HTMLTextAreaElement>("composer");
  if (!field) throw new Error("no composer");
  field.value = text;
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  flushSync();
}

async function press(key: string, init: KeyboardEventInit = {}): Promise<KeyboardEvent> {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...init });
  find("composer")?.dispatchEvent(event);
  await settle();
  flushSync();
  return event;
}

describe("the composer", () => {
  it("has the focus from the start", () => {
    expect(document.activeElement).toBe(find("composer"));
  });

  it("sends with Enter and is empty again", async () => {
    write("Hello?");
    await press("Enter");
    expect(backend.asked).toEqual(["ask null Hello?"]);
    expect(find<HTMLTextAreaElement>("composer")?.value).toBe("");
  });

  it("leaves Shift+Enter to the text", async () => {
    write("Hello");
    const event = await press("Enter", { shiftKey: true });
    expect(event.defaultPrevented).toBe(false);
    expect(backend.asked).toHaveLength(0);
  });

  it("leaves the Enter that accepts a composed character to the input method", async () => {
    write("こんにち");
    await press("Enter", { isComposing: true });
    await press("Enter", { keyCode: 229 });
    expect(backend.asked).toHaveLength(0);
  });

  it("offers to send only what is not blank", () => {
    expect(find<HTMLButtonElement>("send")?.disabled).toBe(true);
    write("  \n");
    expect(find<HTMLButtonElement>("send")?.disabled).toBe(true);
    write("Hello?");
    expect(find<HTMLButtonElement>("send")?.disabled).toBe(false);
  });

  it("offers to stop instead of to send while an answer is being written", async () => {
    write("Hello?");
    await press("Enter");
    expect(find("send")).toBeNull();
    find("stop")?.click();
    await settle();
    flushSync();
    expect(backend.stopped).toEqual([1]);
    expect(find<HTMLButtonElement>("stop")?.disabled).toBe(true);
    backend.emit(done({ stop: "cancelled" }));
    flushSync();
    expect(find("send")).not.toBeNull();
  });

  it("changes the last question with the arrow up, in an empty field only", async () => {
    await unmount(component);
    let asked = 0;
    const oneditlast = () => ++asked > 0;
    component = mount(Composer, { target: document.body, props: { conversation, oneditlast } });
    flushSync();
    write("Hello");
    await press("ArrowUp");
    expect(asked).toBe(0);
    write("");
    await press("ArrowUp");
    expect(asked).toBe(1);
  });

  it("tells how much of the context is taken, and counts the draft roughly", async () => {
    await unmount(component);
    component = mount(Composer, { target: document.body, props: { conversation, contextTokens: 4096 } });
    flushSync();
    expect(find("context-meter")).toBeNull();
    write("Hello?");
    await press("Enter");
    backend.emit(done({ prompt_tokens: 1000, tokens: 24 }));
    flushSync();
    expect(find("context-meter")?.textContent).toContain("1,024 / 4,096 tokens");
    write("x".repeat(400));
    expect(find("context-meter")?.textContent).toContain("≈ 1,124");
  });

  it("keeps a draft written during an answer", async () => {
    write("One?");
    await press("Enter");
    write("Two?");
    await press("Enter");
    backend.emit(token("Yes."), done());
    flushSync();
    expect(find<HTMLTextAreaElement>("composer")?.value).toBe("Two?");
  });
});
