import type { ConversationSummary } from "../../ipc/wire";

export type Day = "today" | "yesterday" | "week" | "older";
/** A line of the list: the name of a day, or a conversation. */
export type Row = { type: "day"; day: Day } | { type: "conversation"; conversation: ConversationSummary };

/** The list with a heading wherever another day begins. The conversations come newest first. */
export function byDay(list: readonly ConversationSummary[], now: Date): Row[] {
  const rows: Row[] = [];
  let last: Day | null = null;
  for (const conversation of list) {
    const day = dayOf(conversation.updated_ms, now);
    if (day !== last) rows.push({ type: "day", day });
    last = day;
    rows.push({ type: "conversation", conversation });
  }
  return rows;
}

function dayOf(ms: number, now: Date): Day {
  const midnight = (daysAgo: number) => new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo).getTime();
  if (ms >= midnight(0)) return "today";
  if (ms >= midnight(1)) return "yesterday";
  return ms >= midnight(7) ? "week" : "older";
}
