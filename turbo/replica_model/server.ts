/**
 * A model of the server that a replica follows: one stream, as Redis keeps it.
 *
 * @module
 */
import type { Command, Reply } from "../stream_commands.ts";
import { entryOf, fieldsOf, type Place, type StreamEntry } from "../stream_entry.ts";

/** The outcome of a command: an answer, an error, or a blocked read. */
export type Outcome = Reply | { readonly kind: "error"; readonly reason: string } | "blocked";

/** A read that waits for the next entry. */
interface Blocked {
  readonly after: Place;
  readonly answer: (reply: Reply) => void;
}

/** One stream. Its limits are small, so that short tests reach them. */
export class ModelServer {
  /** About how many entries are kept, loaded, and read at a time. */
  readonly limits: { readonly kept: number; readonly loaded: number; readonly read: number };
  /** Whether writes are refused, as when no memory is left. */
  refuses = false;
  /** How many epochs were started, and how many commands were executed. */
  births = 0;
  executed = 0;
  /** How many entries were ever written. */
  appended = 0;
  #entries: StreamEntry[] = [];
  /** The last id; `undefined` where there is no stream. */
  #last: Place | undefined;
  #blocked: Blocked[] = [];

  /** Starts without a stream. */
  constructor(limits: ModelServer["limits"] = { kept: 60, loaded: 25, read: 4 }) {
    this.limits = limits;
  }

  /** The entries of the stream, oldest first. */
  get entries(): readonly StreamEntry[] {
    return this.#entries;
  }

  /** Executes a command. If it blocks, `answer` is called later. */
  execute(command: Command, answer: (reply: Reply) => void): Outcome {
    this.executed++;
    switch (command.kind) {
      case "look": {
        const { at } = command;
        const first = at && this.#entries.find((entry) => compare(entry, at) >= 0);
        return { kind: "look", newest: this.#entries.at(-1), first };
      }
      case "load":
        return { kind: "load", entries: this.#entries.slice(-this.limits.loaded) };
      case "birth":
        return this.#birth(command);
      case "add":
        return this.#add(command);
      case "read": {
        const entries = this.#after(command.after);
        if (entries.length > 0) return { kind: "read", entries };
        this.#blocked.push({ after: command.after, answer });
        return "blocked";
      }
    }
  }

  /** Ends a blocked read, because its time is over. */
  unblock(answer: (reply: Reply) => void): void {
    const count = this.#blocked.length;
    this.#blocked = this.#blocked.filter((read) => read.answer !== answer);
    if (this.#blocked.length < count) answer({ kind: "read", entries: [] });
  }

  /** Deletes the stream, as FLUSHALL does: blocked reads stay blocked. */
  flush(): void {
    this.#entries = [];
    this.#last = undefined;
  }

  /** Loses the newest entries, as when an older dump is loaded. */
  lose(count: number): void {
    this.#entries.splice(Math.max(0, this.#entries.length - count));
    this.#last = this.#entries.at(-1);
    this.#blocked = [];
  }

  #birth({ seen, epoch, node }: Command & { kind: "birth" }): Outcome {
    const newest = this.#entries.at(-1)?.epoch;
    if (newest !== seen) return { kind: "birth", epoch: newest ?? 0 };
    if (this.refuses) return { kind: "error", reason: "OOM" };
    const place = { epoch, position: 0 };
    if (this.#last && compare(place, this.#last) <= 0) return { kind: "error", reason: "smaller" };
    this.births++;
    this.#append(place, fieldsOf({ node, n: 0, attempt: 0, content: { kind: "birth" } }));
    return { kind: "birth", epoch };
  }

  #add({ id, epoch, fields }: Command & { kind: "add" }): Outcome {
    if (this.refuses) return { kind: "add", id, result: "refused", reason: "OOM" };
    if (!this.#last) return { kind: "add", id, result: "gone" };
    if (epoch < this.#last.epoch) return { kind: "add", id, result: "behind" };
    const position = epoch === this.#last.epoch ? this.#last.position + 1 : 0;
    this.#append({ epoch, position }, fields);
    return { kind: "add", id, result: "added" };
  }

  #append(place: Place, fields: readonly string[]): void {
    this.#last = place;
    this.appended++;
    this.#entries.push(entryOf(`${place.epoch}-${place.position}`, fields)!);
    if (this.#entries.length > this.limits.kept * 1.2) {
      this.#entries = this.#entries.slice(-this.limits.kept);
    }
    const woken = this.#blocked.filter(({ after }) => compare(place, after) > 0);
    this.#blocked = this.#blocked.filter((read) => !woken.includes(read));
    for (const { after, answer } of woken) answer({ kind: "read", entries: this.#after(after) });
  }

  #after(place: Place): StreamEntry[] {
    return this.#entries.filter((entry) => compare(entry, place) > 0).slice(0, this.limits.read);
  }
}

function compare(one: Place, other: Place): number {
  return one.epoch - other.epoch || one.position - other.position;
}
