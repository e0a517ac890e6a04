// What the readers of one process have received and lost, and how the runner asks for it: the process
// answers each line of its input with a line of JSON.
import process from "node:process";
import { createInterface } from "node:readline";
import { addressOf } from "./address.mjs";

const TICK = /<p>(\d{8})/g;

/** What one reader has received and lost. Times are of the day, in milliseconds. */
export class ReaderRecord {
  /** @type {[tick: number, at: number][]} */
  received = [];
  /** @type {[from: number, to: number][]} When it was not connected. */
  away = [];
  /** How often it continued where it was, by its library's own account. */
  recovered = 0;
  /** How often it fetched its page again. */
  fetched = 0;
  /** @type {number | undefined} Since when it is not connected. */
  #awaySince = now();

  get isOpen() {
    return this.#awaySince === undefined;
  }

  /** @param {string} html */
  hears(html) {
    const at = now();
    for (const [, tick] of html.matchAll(TICK)) this.received.push([Number(tick), at]);
  }

  opens() {
    if (this.#awaySince === undefined) return;
    this.away.push([this.#awaySince, now()]);
    this.#awaySince = undefined;
  }

  closes() {
    this.#awaySince ??= now();
  }
}

/** Starts the readers that the command line asks for. @param {(host: string, record: ReaderRecord) => unknown} read */
export function startReaders(read) {
  const [port, count] = process.argv.slice(2).map(Number);
  const records = Array.from({ length: count }, (_, reader) => {
    const record = new ReaderRecord();
    read(`${addressOf(reader)}:${port}`, record);
    return record;
  });
  /** @type {{ [question: string]: () => unknown }} */
  const answers = {
    open: () => records.filter(({ isOpen }) => isOpen).length,
    all: () => records,
  };
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => console.log(JSON.stringify(answers[line]?.())));
  lines.on("close", () => process.exit());
}

/** The time of the day in milliseconds, as all readers and the runner give it. */
export function now() {
  return performance.timeOrigin + performance.now();
}
