// The stores of this window, joined to the real backend. Tests build their own with a fake one.

import { backend } from "../ipc/client";
import { Conversation } from "./conversation.svelte";
import { LinkPrompt } from "./link.svelte";
import { ModelStore } from "./model.svelte";

export const conversation = new Conversation(backend);
export const links = new LinkPrompt(backend);
export const model = new ModelStore(backend);
