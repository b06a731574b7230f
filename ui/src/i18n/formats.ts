/** The words for a count; French and English need only these two. */
export interface PluralWords {
  one: string;
  other: string;
}

/** Numbers, counts and durations as a language writes them. */
export interface Formats {
  integer(value: number): string;
  /** At most one digit after the decimal sign. */
  decimal(value: number): string;
  /** With all its digits, three at most. */
  exact(value: number): string;
  /** A fraction, 0 to 1, in percent. */
  percent(fraction: number): string;
  /** Milliseconds, in seconds where that is easier to read. */
  duration(milliseconds: number): string;
  /** Bytes in the decimal unit that is easiest to read. */
  bytes(value: number): string;
  /** A time to wait, in seconds, as roughly as a person would say it. */
  period(seconds: number): string;
  /** A day and an hour. */
  date(value: Date): string;
  /** The words for this count, by the language's own plural rule. */
  plural(count: number, words: PluralWords): string;
}

export function formats(locale: string): Formats {
  const integer = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  const decimal = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
  const exact = new Intl.NumberFormat(locale, { maximumFractionDigits: 3 });
  const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 });
  const date = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
  const units = locale === "fr" ? ["o", "ko", "Mo", "Go", "To"] : ["B", "kB", "MB", "GB", "TB"];
  const rules = new Intl.PluralRules(locale);
  return {
    integer: (value) => integer.format(value),
    decimal: (value) => decimal.format(value),
    exact: (value) => exact.format(value),
    percent: (fraction) => percent.format(fraction),
    duration: (milliseconds) =>
      milliseconds < 1000 ? `${integer.format(milliseconds)}\u00a0ms` : `${decimal.format(milliseconds / 1000)}\u00a0s`,
    bytes: (value) => {
      // 999.7 MB is 1 GB, not 1,000 MB.
      let [shown, power] = [value, 0];
      for (; shown >= 999.5 && power < units.length - 1; power += 1) shown /= 1000;
      return `${(power < 3 ? integer : decimal).format(shown)}\u00a0${units[power]}`;
    },
    period: (seconds) => {
      if (seconds < 59.5) return `${integer.format(Math.max(1, seconds))}\u00a0s`;
      const minutes = Math.round(seconds / 60);
      if (minutes < 60) return `${integer.format(minutes)}\u00a0min`;
      const rest = minutes % 60;
      return `${integer.format(Math.floor(minutes / 60))}\u00a0h${rest === 0 ? "" : `\u00a0${integer.format(rest)}\u00a0min`}`;
    },
    date: (value) => date.format(value),
    plural: (count, words) => (rules.select(count) === "one" ? words.one : words.other),
  };
}
