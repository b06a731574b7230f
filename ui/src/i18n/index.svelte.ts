import { en, type Dictionary } from "./en";
import { fr } from "./fr";

export type { Dictionary, ProblemWords } from "./en";

const dictionaries = { en, fr } as const;

export type Language = keyof typeof dictionaries;

/** The first language of the user's that Workly speaks; English where it speaks none. */
export function preferred(languages: readonly string[]): Language {
  for (const tag of languages) {
    const language = tag.toLowerCase().split("-")[0];
    if (language === "fr" || language === "en") return language;
  }
  return "en";
}

class Words {
  language = $state<Language>(preferred(navigator.languages.length > 0 ? navigator.languages : [navigator.language]));

  /** Takes the language of the settings; `system` is the first of the user's that Workly speaks. */
  choose(setting: "system" | Language): void {
    const systems = navigator.languages.length > 0 ? navigator.languages : [navigator.language];
    this.language = setting === "system" ? preferred(systems) : setting;
  }

  /** Every visible string, in the chosen language. */
  readonly t: Dictionary = $derived(dictionaries[this.language]);
}

export const words = new Words();
