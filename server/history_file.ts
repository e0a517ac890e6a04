/**
 * The file in which a process that stops leaves its readings for the next process.
 *
 * @module
 */
import { History, type HistoryOptions } from "./history.ts";
import { reasonOf } from "./serve.ts";

/** The most bytes of a file that are read; a day of readings has less. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * Reads the readings of an earlier process, and checks that they can be written when this process stops. A
 * file that is damaged or of another version counts as empty.
 *
 * @throws {Error} when the file cannot be read or written
 */
export function loadHistory(path: string, options: HistoryOptions & { now: number }): History {
  const history = History.from(read(path), options);
  saveHistory(path, history);
  return history;
}

/**
 * Writes the readings, entirely or not at all.
 *
 * @throws {Error} when the file cannot be written
 */
export function saveHistory(path: string, history: History): void {
  const beside = `${path}.tmp`;
  try {
    const folder = path.replace(/[^/\\]*$/, "");
    if (folder !== "") Deno.mkdirSync(folder, { recursive: true });
    remove(beside); // never reused, because another user may have put it there, readable by all
    Deno.writeTextFileSync(beside, JSON.stringify(history), { createNew: true, mode: 0o600 });
    Deno.renameSync(beside, path);
  } catch (error) {
    removeIfPossible(beside); // a full disk leaves a part of it
    throw new Error(`Cannot keep the readings in ${JSON.stringify(path)}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function read(path: string): unknown {
  try {
    const { isFile, size } = Deno.statSync(path);
    return isFile && size <= MAX_BYTES ? JSON.parse(Deno.readTextFileSync(path)) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof Deno.errors.NotFound) return undefined;
    throw new Error(`Cannot read the readings in ${JSON.stringify(path)}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function removeIfPossible(path: string): void {
  try {
    remove(path);
  } catch (error) {
    if (!(error instanceof Error)) throw error; // the first error says why
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
