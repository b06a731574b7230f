import type { ModelsBackend } from "../ipc/models";
import type { CatalogueModel, LibraryModel, LibrarySnapshot, ModelFit, ModelsDragged, Transfer } from "../ipc/wire";

/** A library that a test writes, and a core that writes down what it is asked for. */
export class FakeModels implements ModelsBackend {
  /** What was asked, in words: `use a`, `download tiny`. */
  readonly asked: string[] = [];
  /** What every request is rejected with, when set. */
  refusal: unknown = null;
  now: LibrarySnapshot = { models: [], folders: [], card: null, is_searching: false };
  listed: CatalogueModel[] = [];
  moving: Transfer[] = [];
  #onLibrary: ((library: LibrarySnapshot) => void) | null = null;
  #onTransfers: ((transfers: Transfer[]) => void) | null = null;
  #onDragged: ((dragged: ModelsDragged) => void) | null = null;

  library = async () => this.now;
  transfers = async () => this.moving;
  catalogue = async () => this.listed;
  refresh = () => this.#do("refresh");
  addFolder = () => this.#do("add folder");
  removeFolder = (path: string) => this.#do(`remove folder ${path}`);
  importModels = () => this.#do("import");
  rename = (id: string, title: string) => this.#do(`rename ${id} ${title}`);
  remove = (id: string) => this.#do(`remove ${id}`);
  reveal = (id: string) => this.#do(`reveal ${id}`);
  use = (id: string) => this.#do(`use ${id}`);
  cancelLoad = () => this.#do("cancel load");
  download = (id: string) => this.#do(`download ${id}`);
  pause = (id: string) => this.#do(`pause ${id}`);
  resume = (id: string) => this.#do(`resume ${id}`);
  cancel = (id: string) => this.#do(`cancel ${id}`);
  retry = (id: string) => this.#do(`retry ${id}`);
  dismiss = (id: string) => this.#do(`dismiss ${id}`);

  onLibraryChanged = async (callback: (library: LibrarySnapshot) => void) => {
    this.#onLibrary = callback;
    return () => (this.#onLibrary = null);
  };
  onTransfersChanged = async (callback: (transfers: Transfer[]) => void) => {
    this.#onTransfers = callback;
    return () => (this.#onTransfers = null);
  };
  onDragged = async (callback: (dragged: ModelsDragged) => void) => {
    this.#onDragged = callback;
    return () => (this.#onDragged = null);
  };

  change(changes: Partial<LibrarySnapshot>): void {
    this.now = { ...this.now, ...changes };
    this.#onLibrary?.(this.now);
  }

  move(...transfers: Transfer[]): void {
    this.#onTransfers?.(transfers);
  }

  drag(dragged: ModelsDragged): void {
    this.#onDragged?.(dragged);
  }

  async #do(what: string): Promise<void> {
    this.asked.push(what);
    if (this.refusal !== null) throw this.refusal;
  }
}

export function fitOf(changes: Partial<ModelFit> = {}): ModelFit {
  return {
    verdict: "all_on_gpu", context_tokens: 4096, model_layers: 31, memory_bytes: 400e6, memory_available_bytes: 8e9, is_exact: false,
    profiles: [
      { profile: "performance", gpu_layers: 31, footprint_bytes: 500e6, projected_percent: 40, tokens_per_second: 51.25 },
      { profile: "balanced", gpu_layers: 20, footprint_bytes: 300e6, projected_percent: 30, tokens_per_second: null },
      { profile: "cpu_fallback", gpu_layers: 0, footprint_bytes: 0, projected_percent: 20, tokens_per_second: null },
    ],
    ...changes,
  };
}

export function modelOf(id: string, changes: Partial<LibraryModel> = {}): LibraryModel {
  return {
    id, title: `Model ${id}`, path: `/models/${id}.gguf`, file_bytes: 98_362_432, source: "workly", is_own: true, is_chosen: false,
    facts: {
      architecture: "llama", name: null, parameters: 134_515_008, quantization: "Q4_1", trained_context_tokens: 8192, layers: 30,
      tensor_bytes: 90e6, tensors: 272, has_chat_template: true, license: "apache-2.0", parts: 1,
    },
    fit: fitOf(), problem: null, ...changes,
  };
}

export function catalogueOf(id: string, changes: Partial<CatalogueModel> = {}): CatalogueModel {
  return {
    id, title: `To fetch ${id}`, summary_en: "Small.", summary_fr: "Petit.", parameters: 7.2e9, quantization: "Q4_K_M", context_tokens: 32768,
    size_bytes: 4.4e9, license: "MIT", homepage: "https://example.org", url: "https://example.org/m.gguf", sha256: null, fit: fitOf(),
    installed: null, ...changes,
  };
}

export function transferOf(changes: Partial<Transfer> = {}): Transfer {
  return {
    id: "t1", kind: "download", title: "Tiny", catalogue_id: "tiny", state: "running", received_bytes: 25e6, total_bytes: 100e6,
    bytes_per_second: 5e6, seconds_left: 15, hash: "catalogue", model: null, problem: null, ...changes,
  };
}
