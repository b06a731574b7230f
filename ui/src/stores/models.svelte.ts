import type { ModelsBackend } from "../ipc/models";
import { toProblem } from "../ipc/problem";
import type { CatalogueModel, LibraryModel, LibrarySnapshot, ModelsDragged, Problem, Transfer } from "../ipc/wire";
import { follow, type Stop } from "./follow";
import { NO_FILTERS, type Filters } from "./modelFilters";

/** A question that is asked before something is done to a model. */
export interface Question {
  /** `use`: it needs more memory than there is. */
  about: "use" | "delete";
  model: LibraryModel;
}

/** The models of this machine, those that can be fetched and those on their way, as the core last described them. */
export class ModelsStore {
  /** Null until the core has answered. */
  library = $state.raw<LibrarySnapshot | null>(null);
  /** Null until it was asked for. */
  catalogue = $state.raw<CatalogueModel[] | null>(null);
  /** Those on their way, and those that ended and were not put away. */
  transfers = $state.raw<Transfer[]>([]);
  filters = $state<Filters>({ ...NO_FILTERS });
  /** Model files that are held over the window; null while none are. */
  dragged = $state<number | null>(null);
  question = $state.raw<Question | null>(null);
  /** Why the last thing asked for was not done. */
  problem = $state.raw<Problem | null>(null);
  readonly chosen: LibraryModel | null = $derived(this.library?.models.find((model) => model.is_chosen) ?? null);
  /** Called where files were let go over the window. */
  ondropped: () => void = () => undefined;
  #askedForCatalogue = 0;

  constructor(private readonly backend: ModelsBackend) {}

  /** Takes a snapshot and follows every change from then on. Returns the way to stop following. */
  async follow(): Promise<Stop> {
    const fail = (problem: Problem) => (this.problem = problem);
    const stops = await Promise.all([
      follow({
        listen: (hear) => this.backend.onLibraryChanged(hear),
        ask: () => this.backend.library(),
        take: (library) => {
          this.library = library;
          // What is here, and how the rest would fit, may have changed with it.
          if (this.catalogue !== null) void this.openCatalogue();
        },
        fail,
      }),
      follow({
        listen: (hear) => this.backend.onTransfersChanged(hear),
        ask: () => this.backend.transfers(),
        take: (transfers) => (this.transfers = transfers),
        fail,
      }),
      follow<ModelsDragged>({ listen: (hear) => this.backend.onDragged(hear), take: (dragged) => this.#drag(dragged), fail }),
    ]);
    return () => stops.forEach((stop) => stop());
  }

  #drag({ phase, models, problem }: ModelsDragged): void {
    this.dragged = phase === "over" ? models : null;
    if (phase !== "dropped" || models === 0) return;
    this.problem = problem;
    this.ondropped();
  }

  /** Asks for the models that can be fetched. */
  async openCatalogue(): Promise<void> {
    const asked = ++this.#askedForCatalogue;
    try {
      const catalogue = await this.backend.catalogue();
      if (asked === this.#askedForCatalogue) this.catalogue = catalogue;
    } catch (reason) {
      this.problem = toProblem(reason);
    }
  }

  /** Makes it the model that answers; where it does not fit, the user is asked first. */
  async use(model: LibraryModel): Promise<void> {
    if (model.is_chosen || model.problem) return;
    if (model.fit?.verdict === "too_large") this.question = { about: "use", model };
    else await this.#do(() => this.backend.use(model.id));
  }

  /** Asks whether the file is to be deleted. */
  remove(model: LibraryModel): void {
    if (model.is_own) this.question = { about: "delete", model };
  }

  /** The answer to the question. */
  async answer(yes: boolean): Promise<void> {
    const asked = this.question;
    this.question = null;
    if (!yes || !asked) return;
    const { id } = asked.model;
    await this.#do(() => (asked.about === "use" ? this.backend.use(id) : this.backend.remove(id)));
  }

  /** Says whether it has the new name. */
  rename(model: LibraryModel, title: string): Promise<boolean> {
    const wanted = title.trim();
    if (wanted === "" || wanted === model.title) return Promise.resolve(false);
    return this.#do(() => this.backend.rename(model.id, wanted));
  }

  reveal = (model: LibraryModel) => this.#do(() => this.backend.reveal(model.id));
  cancelLoad = () => this.#do(() => this.backend.cancelLoad());
  refresh = () => this.#do(() => this.backend.refresh());
  addFolder = (title: string) => this.#do(() => this.backend.addFolder(title));
  removeFolder = (path: string) => this.#do(() => this.backend.removeFolder(path));
  importModels = (title: string) => this.#do(() => this.backend.importModels(title));
  download = (id: string) => this.#do(() => this.backend.download(id));
  pause = (transfer: Transfer) => this.#do(() => this.backend.pause(transfer.id));
  resume = (transfer: Transfer) => this.#do(() => this.backend.resume(transfer.id));
  cancel = (transfer: Transfer) => this.#do(() => this.backend.cancel(transfer.id));
  retry = (transfer: Transfer) => this.#do(() => this.backend.retry(transfer.id));
  dismiss = (transfer: Transfer) => this.#do(() => this.backend.dismiss(transfer.id));

  /** The transfer that brings a model of the catalogue, if one does. */
  transferOf(id: string): Transfer | null {
    return this.transfers.find((transfer) => transfer.catalogue_id === id && transfer.state !== "done" && transfer.state !== "failed") ?? null;
  }

  async #do(act: () => Promise<void>): Promise<boolean> {
    try {
      await act();
      this.problem = null;
      return true;
    } catch (reason) {
      this.problem = toProblem(reason);
      return false;
    }
  }
}
