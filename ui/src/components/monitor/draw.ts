// What uPlot does not draw by itself: the profiles as background, the thresholds, the decisions.

import type uPlot from "uplot";
import type { Profile } from "../../ipc/wire";
import type { Run } from "./columns";
import type { Palette } from "./palette";

/** A threshold on the scale, with its word. */
export interface Line {
  at: number;
  label: string;
}

/** The profile of each time, as a tint, a strip at the top and, where names are given, its name where there is room. */
export function drawProfiles(plot: uPlot, runs: readonly Run[], colours: Palette, names: Record<Profile, string> | null): void {
  const { ctx: pen, bbox } = plot;
  const ratio = devicePixelRatio;
  const strip = Math.round(3 * ratio);
  pen.save();
  clip(plot);
  for (const run of runs) {
    const left = Math.round(plot.valToPos(run.from, "x", true));
    const right = Math.max(left + 1, Math.round(plot.valToPos(run.to, "x", true)));
    pen.fillStyle = colours[run.profile];
    pen.globalAlpha = 0.1;
    pen.fillRect(left, bbox.top, right - left, bbox.height);
    pen.globalAlpha = 1;
    pen.fillRect(left, bbox.top, right - left, strip);
    if (!names) continue;
    pen.font = scaled(colours.font, ratio);
    const name = names[run.profile];
    const visible = Math.max(left, bbox.left);
    if (pen.measureText(name).width + 12 * ratio < right - visible) {
      pen.textAlign = "left";
      pen.textBaseline = "top";
      pen.fillText(name, visible + 6 * ratio, bbox.top + 6 * ratio);
    }
  }
  pen.restore();
}

/** Dashed lines over the whole width, each with its word at the right. */
export function drawThresholds(plot: uPlot, lines: readonly Line[], colours: Palette): void {
  const { ctx: pen, bbox } = plot;
  const ratio = devicePixelRatio;
  pen.save();
  pen.font = scaled(colours.font, ratio);
  pen.lineWidth = ratio;
  pen.textAlign = "right";
  pen.textBaseline = "bottom";
  for (const line of lines) {
    const y = Math.round(plot.valToPos(line.at, "y", true)) + 0.5;
    pen.setLineDash([5 * ratio, 4 * ratio]);
    pen.strokeStyle = colours.quiet;
    pen.beginPath();
    pen.moveTo(bbox.left, y);
    pen.lineTo(bbox.left + bbox.width, y);
    pen.stroke();
    const x = bbox.left + bbox.width - 6 * ratio;
    // A word in front of a curve needs a ground of its own.
    pen.setLineDash([]);
    pen.lineWidth = 3 * ratio;
    pen.strokeStyle = colours.surface;
    pen.strokeText(line.label, x, y - ratio);
    pen.lineWidth = ratio;
    pen.fillStyle = colours.text;
    pen.fillText(line.label, x, y - ratio);
  }
  pen.restore();
}

/** A small mark at the foot for each decision. */
export function drawDecisions(plot: uPlot, seconds: readonly number[], colours: Palette): void {
  const { ctx: pen, bbox } = plot;
  const ratio = devicePixelRatio;
  pen.save();
  clip(plot);
  pen.strokeStyle = colours.text;
  pen.fillStyle = colours.text;
  pen.lineWidth = ratio;
  for (const time of seconds) {
    const x = Math.round(plot.valToPos(time, "x", true)) + 0.5;
    pen.globalAlpha = 0.55;
    pen.beginPath();
    pen.moveTo(x, bbox.top);
    pen.lineTo(x, bbox.top + bbox.height);
    pen.stroke();
    pen.globalAlpha = 1;
    const foot = bbox.top + bbox.height;
    pen.beginPath();
    pen.moveTo(x - 5 * ratio, foot);
    pen.lineTo(x + 5 * ratio, foot);
    pen.lineTo(x, foot - 7 * ratio);
    pen.fill();
  }
  pen.restore();
}

function clip({ ctx: pen, bbox }: uPlot): void {
  pen.beginPath();
  pen.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  pen.clip();
}

function scaled(font: string, ratio: number): string {
  return font.replace(/^(\d+)px/, (_, size: string) => `${Number(size) * ratio}px`);
}
