/**
 * A file by which a process that stops leaves its state to the next one.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Stats } from "node:fs";

/** Says what the file is, and in which version. */
const HEADER = "turbo-deno state 2";
const TITLE = HEADER.replace(/\d+$/, "");

/** A state that was left, or why there is none. */
export type Taken =
  | { readonly text: string }
  | { readonly missing: string; readonly isForeign?: boolean };

const NONE = { missing: "there is none" };
const FOREIGN = { missing: "there is something else, which stays as it is", isForeign: true };
/** The bits of a mode by which others than the owner may write. */
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Takes up a state and removes its file, so that a crash can never bring it back. A file that is no
 * state is left alone, and so is one that another than `owner` has written or may write: its key would
 * be one of their choice. No owner is `null`, and then anyone's file is taken, as on Windows.
 *
 * @throws {Error} where the file cannot be read, or cannot be removed
 */
export function takeState(path: string, owner: number | null = null): Taken {
  const content = readState(path, owner);
  if (typeof content !== "string") return content;
  if (!remove(path)) return NONE; // another process was faster
  syncDirectory(path); // or it could be there again after a power cut
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
  const beside = besideOf(path);
  try {
    write(beside, `${HEADER}\n${hashOf(text)}\n${text}`);
    files().renameSync(beside, path);
    syncDirectory(path);
  } catch (error) {
    remove(beside);
    throw error;
  }
}

/**
 * Makes sure, before anything depends on it, that a file can be written beside the state. Makes the
 * directory where there is none, and removes what an earlier process could not finish.
 *
 * @returns the user to whom the files of this process belong, or `null` on Windows
 * @throws {Error} where it cannot
 */
export function checkState(path: string): number | null {
  const directory = directoryOf(path);
  if (directory === path) throw new Error("the path of a file is needed, not of a directory");
  if (directory !== "") files().mkdirSync(directory, { recursive: true });
  const beside = besideOf(path);
  const owner = write(beside, "");
  remove(beside);
  return owner;
}

/** Whether there is a state, or anything else in its place. */
export function hasState(path: string): boolean {
  return find(path) !== undefined;
}

function readState(path: string, owner: number | null): string | Taken {
  const found = find(path);
  if (found === undefined) return NONE;
  if (!found.isFile()) return FOREIGN;
  return withFile(path, "r", (file) => {
    const info = files().fstatSync(file); // of what is read, whatever stands at the path by now
    const content = files().readFileSync(file, "utf8");
    if (!content.startsWith(TITLE) && !TITLE.startsWith(content)) return FOREIGN;
    const reason = owner === null ? undefined : whyForeign(info, owner);
    return reason === undefined ? content : { missing: reason, isForeign: true };
  });
}

function whyForeign({ uid, mode }: Stats, owner: number): string | undefined {
  if (uid !== owner) return `it belongs to user ${uid}, not to ${owner}, and stays as it is`;
  if ((mode & WRITABLE_BY_OTHERS) === 0) return undefined;
  const bits = (mode & 0o777).toString(8);
  return `others than its owner may write it (mode ${bits}), so it stays as it is`;
}

// One that is there is not followed and not reused: somebody else may have laid it there, for all to
// read. Returns whose the file is, from the file itself, because another may stand at its path since.
function write(path: string, text: string): number | null {
  remove(path);
  return withFile(path, "wx", (file) => {
    files().writeFileSync(file, text);
    files().fsyncSync(file);
    return isWindows() ? null : files().fstatSync(file).uid;
  });
}

function find(path: string): Stats | undefined {
  return files().lstatSync(path, { throwIfNoEntry: false });
}

/** Whether there was something to remove. */
function remove(path: string): boolean {
  try {
    files().unlinkSync(path);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return false;
    throw error;
  }
}

function syncDirectory(path: string): void {
  if (isWindows()) return; // where a directory cannot be opened
  withFile(directoryOf(path) || ".", "r", (directory) => files().fsyncSync(directory));
}

function withFile<T>(path: string, flags: "r" | "wx", use: (file: number) => T): T {
  const file = files().openSync(path, flags, 0o600);
  try {
    return use(file);
  } finally {
    files().closeSync(file);
  }
}

// Loaded where there is a state, because it takes Deno some milliseconds.
function files(): typeof import("node:fs") {
  return process.getBuiltinModule("node:fs");
}

function isWindows(): boolean {
  return process.platform === "win32";
}

function directoryOf(path: string): string {
  return /^.*[/\\]/s.exec(path)?.[0] ?? "";
}

function besideOf(path: string): string {
  return `${path}.tmp`;
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
