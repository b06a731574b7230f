// The stores of this window, joined to the real backend. Tests build their own with a fake one.

import { backend } from "../ipc/client";
import { modelsBackend } from "../ipc/models";
import { monitorBackend } from "../ipc/monitor";
import { settingsBackend } from "../ipc/settings";
import { Conversations } from "./conversations.svelte";
import { DemoStore } from "./demo.svelte";
import { LinkPrompt } from "./link.svelte";
import { ModelStore } from "./model.svelte";
import { ModelsStore } from "./models.svelte";
import { MonitorStore } from "./monitor.svelte";
import { Navigation } from "./navigation.svelte";
import { SettingsStore } from "./settings.svelte";

export const conversations = new Conversations(backend);
export const links = new LinkPrompt(backend);
export const model = new ModelStore(backend);
export const models = new ModelsStore(modelsBackend);
export const settings = new SettingsStore(settingsBackend);
export const monitor = new MonitorStore(monitorBackend);
export const demo = new DemoStore(monitorBackend);
export const navigation = new Navigation();
