import type { CatalogueModel, FitVerdict, LibraryModel, ModelSource } from "../ipc/wire";

export const FIT_FILTERS = ["all", "runs", "card"] as const;
/** `runs`: there is memory for it; `card`: all of it goes on the card. */
export type FitFilter = (typeof FIT_FILTERS)[number];

export const PLACE_FILTERS = ["all", "here", "fetch"] as const;
/** `here`: on this machine; `fetch`: can be fetched. */
export type PlaceFilter = (typeof PLACE_FILTERS)[number];

export interface Filters {
  query: string;
  fit: FitFilter;
  place: PlaceFilter;
  /** Where it was found; only models of this machine come from somewhere. */
  source: ModelSource | "all";
}

export const NO_FILTERS: Readonly<Filters> = { query: "", fit: "all", place: "all", source: "all" };

export function isFiltered(filters: Filters): boolean {
  return filters.query.trim() !== "" || filters.fit !== "all" || filters.place !== "all" || filters.source !== "all";
}

/** The models of this machine that pass. */
export function onThisMachine(models: readonly LibraryModel[], filters: Filters): LibraryModel[] {
  if (filters.place === "fetch") return [];
  return models.filter(
    (model) =>
      (filters.source === "all" || filters.source === model.source) &&
      fits(model.fit?.verdict ?? null, filters.fit) &&
      says(filters.query, [
        model.title, model.facts?.name, model.facts?.architecture, model.facts?.quantization, model.facts?.license, fileName(model.path),
      ]),
  );
}

/** The models of the catalogue that pass; those that are here already are left out. */
export function toFetch(models: readonly CatalogueModel[], filters: Filters): CatalogueModel[] {
  if (filters.place === "here" || filters.source !== "all") return [];
  return models.filter(
    (model) =>
      model.installed === null &&
      fits(model.fit?.verdict ?? null, filters.fit) &&
      says(filters.query, [model.title, model.id, model.quantization, model.license, model.summary_en, model.summary_fr]),
  );
}

function fits(verdict: FitVerdict | null, filter: FitFilter): boolean {
  if (filter === "all") return true;
  if (verdict === null) return false;
  return filter === "card" ? verdict === "all_on_gpu" : verdict !== "too_large";
}

/** Whether every word of the query is somewhere in the texts, whatever its case and accents. */
function says(query: string, texts: readonly (string | null | undefined)[]): boolean {
  const text = plain(texts.filter((text) => text != null).join(" "));
  return plain(query).split(/\s+/).every((word) => text.includes(word));
}

function plain(text: string): string {
  return text.normalize("NFD").replace(/\p{Diacritic}/gu, "").toLowerCase().trim();
}

/** The last part of a path, on any system. */
export function fileName(path: string): string {
  return path.split(/[\\/]/).at(-1) ?? path;
}
