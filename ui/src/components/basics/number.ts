/** What a person typed as a number; null where it is none. A comma is a decimal sign too. */
export function parseNumber(text: string): number | null {
  const plain = text.trim().replaceAll(/[\s\u00a0\u202f]/g, "").replace(",", ".");
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : null;
}

export interface Range {
  least: number;
  most: number;
  whole: boolean;
}

/** The number in a text, if it may be used. */
export function inRange(text: string, range: Range): number | null {
  const value = parseNumber(text);
  if (value === null || value < range.least || value > range.most) return null;
  return range.whole && !Number.isInteger(value) ? null : value;
}
