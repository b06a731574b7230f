import { toProblem } from "../ipc/problem";
import type { Problem } from "../ipc/wire";

export type Stop = () => void;

/** Something the core tells: how to hear of its changes, how to ask for it as it is, and who takes it. */
interface Followed<T> {
  listen: (hear: (value: T) => void) => Promise<Stop>;
  /** Left out where only changes are told. */
  ask?: () => Promise<T>;
  take: (value: T) => void;
  /** Told why it could not be asked for; what is heard is taken all the same. */
  fail: (problem: Problem) => void;
}

/** Takes a snapshot and then every change. Returns the way to stop, whatever failed. */
export async function follow<T>({ listen, ask, take, fail }: Followed<T>): Promise<Stop> {
  let stop: Stop = () => undefined;
  // Listening begins first, and what it hears wins: a change during the snapshot would be lost otherwise.
  let heard = false;
  try {
    stop = await listen((value) => {
      heard = true;
      take(value);
    });
    if (!ask) return stop;
    const snapshot = await ask();
    if (!heard) take(snapshot);
  } catch (reason) {
    fail(toProblem(reason));
  }
  return stop;
}
