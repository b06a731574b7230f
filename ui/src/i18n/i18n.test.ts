import { describe, expect, it } from "vitest";
import type { SettingsNotice, StoreNotice } from "../ipc/wire";
import { en } from "./en";
import { formats } from "./formats";
import { fr } from "./fr";
import { preferred } from "./index.svelte";

/** The path of every string in a dictionary; a function counts by its name. */
function paths(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) => paths(inner, `${path}.${key}`));
}

function strings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(strings) : [];
}

describe("the dictionaries", () => {
  it("have the same entries", () => {
    expect(paths(fr)).toEqual(paths(en));
  });

  it("leave no entry empty", () => {
    expect([...strings(en), ...strings(fr)].filter((text) => text.trim() === "")).toEqual([]);
  });

  it("are truly two languages", () => {
    const english = new Set(strings(en.problem));
    expect(strings(fr.problem).filter((text) => english.has(text))).toEqual([]);
  });

  it("have their own words for each kind of notice, with what it names", () => {
    const ofStore: { [Type in StoreNotice["type"]]: Extract<StoreNotice, { type: Type }> } = {
      restored: { type: "restored", backup_ms: 0, kept_as: "/old.db" },
      salvaged: { type: "salvaged", messages: 1, backup_ms: 0, kept_as: "/old.db" },
      emptied: { type: "emptied", kept_as: "/old.db" },
      missing: { type: "missing", backup_ms: 0 },
      not_kept: { type: "not_kept", details: "read-only" },
      in_use: { type: "in_use" },
      not_saved: { type: "not_saved", details: "read-only" },
      saved: { type: "saved" },
    };
    const ofSettings: { [Type in SettingsNotice["type"]]: Extract<SettingsNotice, { type: Type }> } = {
      restored: { type: "restored", kept_as: "/old.json", detail: "" },
      defaults: { type: "defaults", kept_as: "/old.json", detail: "" },
      unreadable: { type: "unreadable", detail: "" },
      edit_broken: { type: "edit_broken", detail: "" },
      not_watched: { type: "not_watched", detail: "" },
      bad_value: { type: "bad_value", key: "ui.theme", message: "", fallback: "system" },
    };
    for (const language of [en, fr]) {
      const store = Object.values(ofStore).map((notice) => language.store.text(notice));
      const settings = Object.values(ofSettings).map((notice) => language.settings.notice.text(notice));
      expect(new Set([...store, ...settings]).size).toBe(store.length + settings.length);
      for (const text of [...store, ...settings]) expect(text.trim()).not.toBe("");
      expect(store.filter((text) => text.includes("/old.db"))).toHaveLength(3);
      expect(store.filter((text) => text.includes("read-only"))).toHaveLength(2);
      expect(store.filter((text) => text.includes("1970") || text.includes("1969"))).toHaveLength(3);
      expect(store.filter((text) => / [:;!?»]/.test(text))).toEqual([]);
      expect(settings.filter((text) => text.includes("/old.json"))).toHaveLength(2);
    }
    expect(Object.values(ofStore).filter((notice) => en.store.text(notice) === fr.store.text(notice))).toEqual([]);
  });

  it("tell how much was read of damaged conversations, and whether there was a copy", () => {
    const salvaged: StoreNotice = { type: "salvaged", messages: 2, backup_ms: null, kept_as: "/old.db" };
    expect(en.store.text(salvaged)).toContain("2 messages could be read; there was no copy");
    expect(en.store.text({ ...salvaged, messages: 1, backup_ms: 0 })).toContain("1 message could be read; what was missing came from the copy of");
    expect(fr.store.text(salvaged)).toContain("2 messages ont pu être lus\u202f; il n’y avait pas de copie");
    expect(fr.store.text({ ...salvaged, messages: 1, backup_ms: 0 })).toContain("1 message a pu être lu\u202f; ce qui manquait vient de la copie du");
  });

  it("never leave an ordinary space before French punctuation", () => {
    expect(strings(fr).filter((text) => / [:;!?»]/.test(text))).toEqual([]);
    expect(fr.chat.dropped(2)).not.toMatch(/ [:;!?]/);
  });

  it("count by each language's own rule", () => {
    expect(en.chat.dropped(1)).toContain("1 older turn was");
    expect(en.chat.dropped(0)).toContain("0 older turns were");
    expect(fr.chat.dropped(0)).toContain("0 échange ancien a");
    expect(fr.chat.dropped(2)).toContain("2 échanges anciens ont");
  });

  it("write numbers as each language does", () => {
    expect(en.speed(85.25)).toBe("85.3 tokens/s");
    expect(fr.speed(85.25)).toBe("85,3 jetons/s");
    expect(en.chat.firstToken(1234)).toBe("first token 1.2\u00a0s");
    expect(formats("en").percent(0.43)).toBe("43%");
  });

  it("write sizes and waits in the unit that is easiest to read", () => {
    const { bytes, period } = formats("en");
    const sizes = [0, 999, 98_362_432, 999_700_000, 4_400_000_000].map(bytes);
    expect(sizes).toEqual(["0\u00a0B", "999\u00a0B", "98\u00a0MB", "1\u00a0GB", "4.4\u00a0GB"]);
    expect(formats("fr").bytes(4_400_000_000)).toBe("4,4\u00a0Go");
    expect([0.2, 59, 89, 3600, 5400].map(period)).toEqual(["1\u00a0s", "59\u00a0s", "1\u00a0min", "1\u00a0h", "1\u00a0h\u00a030\u00a0min"]);
  });
});

describe("the language of the window", () => {
  it("is the first of the user's that Workly speaks", () => {
    expect(preferred(["de-DE", "fr-CA", "en"])).toBe("fr");
    expect(preferred(["en-GB", "fr"])).toBe("en");
  });

  it("is English where Workly speaks none of them", () => {
    expect(preferred(["de", "ja-JP"])).toBe("en");
    expect(preferred([])).toBe("en");
  });
});
