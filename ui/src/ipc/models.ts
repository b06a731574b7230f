// What the Rust side does about models: the library, what can be fetched, and what is on its way.

import { invoke } from "@tauri-apps/api/core";
import { listen } from "@tauri-apps/api/event";
import {
  LIBRARY_CHANGED,
  MODELS_DRAGGED,
  TRANSFERS_CHANGED,
  type CatalogueModel,
  type LibrarySnapshot,
  type ModelsDragged,
  type Transfer,
} from "./wire";

/** Models: found, fetched, chosen, put in order. A rejected promise carries a `Problem`. */
export interface ModelsBackend {
  library(): Promise<LibrarySnapshot>;
  /** Searches every folder anew. */
  refresh(): Promise<void>;
  /** Asks for a folder in the system's dialog, under this title; nothing happens where the user cancels. */
  addFolder(title: string): Promise<void>;
  removeFolder(path: string): Promise<void>;
  /** Asks for model files in the system's dialog, under this title, and begins to import them. */
  importModels(title: string): Promise<void>;
  rename(id: string, title: string): Promise<void>;
  /** Deletes the file of a model in Workly's own folder. */
  remove(id: string): Promise<void>;
  /** Shows the file in the system's file manager. */
  reveal(id: string): Promise<void>;
  /** Makes it the model that answers; conversations stay as they are. */
  use(id: string): Promise<void>;
  /** Gives the load up: back to the model before, or to none. */
  cancelLoad(): Promise<void>;
  catalogue(): Promise<CatalogueModel[]>;
  transfers(): Promise<Transfer[]>;
  /** Begins to fetch a model of the catalogue. */
  download(id: string): Promise<void>;
  pause(transfer: string): Promise<void>;
  resume(transfer: string): Promise<void>;
  /** Gives it up and deletes what is there. */
  cancel(transfer: string): Promise<void>;
  retry(transfer: string): Promise<void>;
  /** Takes one that has ended out of the list. */
  dismiss(transfer: string): Promise<void>;
  /** Each of these calls back at each change and returns the way to stop. */
  onLibraryChanged(callback: (library: LibrarySnapshot) => void): Promise<() => void>;
  onTransfersChanged(callback: (transfers: Transfer[]) => void): Promise<() => void>;
  onDragged(callback: (dragged: ModelsDragged) => void): Promise<() => void>;
}

export const modelsBackend: ModelsBackend = {
  library: () => invoke<LibrarySnapshot>("library_snapshot"),
  refresh: () => invoke<void>("refresh_library"),
  addFolder: (title) => invoke<void>("add_model_folder", { title }),
  removeFolder: (path) => invoke<void>("remove_model_folder", { path }),
  importModels: (title) => invoke<void>("import_models", { title }),
  rename: (id, title) => invoke<void>("rename_model", { id, title }),
  remove: (id) => invoke<void>("delete_model", { id }),
  reveal: (id) => invoke<void>("reveal_model", { id }),
  use: (id) => invoke<void>("use_model", { id }),
  cancelLoad: () => invoke<void>("cancel_load"),
  catalogue: () => invoke<CatalogueModel[]>("catalogue"),
  transfers: () => invoke<Transfer[]>("transfers"),
  download: (id) => invoke<void>("start_download", { id }),
  pause: (transfer) => invoke<void>("pause_transfer", { id: transfer }),
  resume: (transfer) => invoke<void>("resume_transfer", { id: transfer }),
  cancel: (transfer) => invoke<void>("cancel_transfer", { id: transfer }),
  retry: (transfer) => invoke<void>("resume_transfer", { id: transfer }),
  dismiss: (transfer) => invoke<void>("cancel_transfer", { id: transfer }),
  onLibraryChanged: (callback) => listen<LibrarySnapshot>(LIBRARY_CHANGED, (event) => callback(event.payload)),
  onTransfersChanged: (callback) => listen<Transfer[]>(TRANSFERS_CHANGED, (event) => callback(event.payload)),
  onDragged: (callback) => listen<ModelsDragged>(MODELS_DRAGGED, (event) => callback(event.payload)),
};
