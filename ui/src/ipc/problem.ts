import type { Problem } from "./wire";

/** What a rejected call says, as a problem: commands reject with one, Tauri itself with a bare string. */
export function toProblem(reason: unknown): Problem {
  if (isProblem(reason)) return reason;
  const details = reason instanceof Error ? reason.message : String(reason);
  return { code: "protocol", message: "The window and Workly's core did not understand each other.", details };
}

function isProblem(value: unknown): value is Problem {
  return typeof value === "object" && value !== null && "code" in value && "message" in value;
}
