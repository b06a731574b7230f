// The stores of this window, joined to the real backend. Tests build their own with a fake one.

import { backend } from "../ipc/client";
import { Conversations } from "./conversations.svelte";
import { LinkPrompt } from "./link.svelte";
import { ModelStore } from "./model.svelte";
import { Navigation } from "./navigation.svelte";

export const conversations = new Conversations(backend);
export const links = new LinkPrompt(backend);
export const model = new ModelStore(backend);
export const navigation = new Navigation();
