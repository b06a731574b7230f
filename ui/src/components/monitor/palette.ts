/** The colours of the style sheet, as a canvas understands them. */
export interface Palette {
  text: string;
  quiet: string;
  line: string;
  surface: string;
  own: string;
  others: string;
  error: string;
  performance: string;
  balanced: string;
  cpu_fallback: string;
  font: string;
}

const names = {
  text: "--text",
  quiet: "--text-quiet",
  line: "--line",
  surface: "--surface",
  own: "--accent",
  others: "--line-strong",
  error: "--error",
  performance: "--profile-performance",
  balanced: "--profile-balanced",
  cpu_fallback: "--profile-cpu",
} as const;

/** Reads them where an element stands: a variable may name one colour for light and one for dark. */
export function palette(near: HTMLElement): Palette {
  const probe = document.createElement("span");
  near.append(probe);
  const read = (name: string) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const entries = Object.entries(names).map(([key, name]) => [key, read(name)]);
  const font = getComputedStyle(near).fontFamily;
  probe.remove();
  return { ...Object.fromEntries(entries), font: `11px ${font}` } as Palette;
}

/** Diagonal lines in a colour: what others use is told from our own without any colour. */
export function hatch(colour: string, ratio: number): CanvasPattern | string {
  const size = Math.round(8 * ratio);
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const pen = tile.getContext("2d");
  if (!pen) return colour;
  pen.globalAlpha = 0.16;
  pen.fillStyle = colour;
  pen.fillRect(0, 0, size, size);
  pen.globalAlpha = 0.65;
  pen.strokeStyle = colour;
  pen.lineWidth = ratio;
  pen.beginPath();
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, size);
    pen.lineTo(shift + size, 0);
  }
  pen.stroke();
  return pen.createPattern(tile, "repeat") ?? colour;
}

/** Calls back when the colours may have changed: by the system, or by the setting. Returns the way to stop. */
export function onPaletteChange(callback: () => void): () => void {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const contrast = matchMedia("(prefers-contrast: more)");
  const attributes = new MutationObserver(callback);
  scheme.addEventListener("change", callback);
  contrast.addEventListener("change", callback);
  attributes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class", "style"] });
  return () => {
    scheme.removeEventListener("change", callback);
    contrast.removeEventListener("change", callback);
    attributes.disconnect();
  };
}
