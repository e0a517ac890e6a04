/**
 * A file by which a process that stops leaves its state to the next one.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** Says what the file is, and in which version. */
const HEADER = "turbo-deno state 1";
const TITLE = HEADER.replace(/\d+$/, "");

/** A state that was left, or why there is none. */
export type Taken =
  | { readonly text: string }
  | { readonly missing: string; readonly isForeign?: boolean };

/**
 * Takes up a state and removes its file, so that a crash can never bring it back. A file that is no
 * state is left alone.
 *
 * @throws {Error} where the file can be read and not removed, or neither
 */
export function takeState(path: string): Taken {
  const content = readIfThere(path);
  if (content === undefined) return { missing: "there is none" };
  if (!content.startsWith(TITLE) && !TITLE.startsWith(content)) {
    return { missing: "the file is something else and stays as it is", isForeign: true };
  }
  Deno.removeSync(path);
  const [header = "", hash, ...lines] = content.split("\n");
  const text = lines.join("\n");
  if (header === HEADER && hash === hashOf(text)) return { text };
  const isOther = header !== HEADER && /^\d+$/.test(header.slice(TITLE.length)) && lines.length > 0;
  return { missing: isOther ? "it is of another version" : "it is damaged" };
}

/**
 * Leaves a state: whole or not at all, and readable by the owner alone, because it holds what was
 * pushed and the key that signs topics.
 *
 * @throws {Error} where it cannot be written
 */
export function leaveState(path: string, text: string): void {
  const beside = `${path}.${Deno.pid}.tmp`;
  try {
    const bytes = new TextEncoder().encode(`${HEADER}\n${hashOf(text)}\n${text}`);
    using file = Deno.openSync(beside, { write: true, create: true, truncate: true, mode: 0o600 });
    for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
    file.syncSync();
    Deno.renameSync(beside, path);
  } catch (error) {
    removeState(beside);
    throw error;
  }
}

/** Removes a state where there is one. */
export function removeState(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * Makes sure, before anything depends on it, that a state can be left. Makes the directory where
 * there is none.
 *
 * @throws {Error} where it cannot
 */
export function checkState(path: string): void {
  const directory = path.replace(/[^/\\]*$/, "");
  if (directory !== "") Deno.mkdirSync(directory, { recursive: true });
  const beside = `${path}.${Deno.pid}.check`;
  leaveState(beside, "");
  removeState(beside);
}

function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
