/**
 * The file in which a process that stops leaves its state for the next process.
 *
 * @module
 */
import type { Stats } from "node:fs";

/** The first line: what the file is, and its version. */
const HEADER = "turbo-deno state 2";
const TITLE = HEADER.replace(/\d+$/, "");

/** The state that was left, or why none was taken. */
export type Taken =
  | { readonly text: string }
  | { readonly missing: string; readonly isForeign?: boolean };

const NONE = { missing: "there is none" };
const FOREIGN = { missing: "there is something else, which stays as it is", isForeign: true };
/** The bits of a mode that let others than the owner write. */
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Reads a state and removes its file, so that a later crash can never restore it. It leaves a file alone
 * that is not a state, or that another user than `owner` has written or may write, because that user would
 * have chosen its key. With `null`, as on Windows, the owner is not checked.
 *
 * @throws {Error} when the file cannot be read or removed
 */
export function takeState(path: string, owner: number | null = null): Taken {
  const content = readState(path, owner);
  if (typeof content !== "string") return content;
  if (!remove(path)) return NONE; // another process was faster
  syncDirectory(path); // otherwise the file could reappear after a power failure
  const [header = "", hash, ...lines] = content.split("\n");
  const text = lines.join("\n");
  if (header === HEADER && hash === sha256(text)) return { text };
  const isOther = header !== HEADER && /^\d+$/.test(header.slice(TITLE.length)) && lines.length > 0;
  return { missing: isOther ? "it is of another version" : "it is damaged" };
}

/**
 * Writes a state, entirely or not at all. Only the owner can read the file, because it contains what was
 * pushed and the key that signs topics.
 *
 * @throws {Error} when the file cannot be written
 */
export function leaveState(path: string, text: string): void {
  const beside = besideOf(path);
  try {
    write(beside, `${HEADER}\n${sha256(text)}\n${text}`);
    files().renameSync(beside, path);
    syncDirectory(path);
  } catch (error) {
    remove(beside);
    throw error;
  }
}

/**
 * Checks at the start that a file can be written beside the state, so that the stop will not fail. Creates
 * the directory where it is missing, and removes the file that an earlier process has not finished.
 *
 * @returns the user who owns the files of this process, or `null` on Windows
 * @throws {Error} when no file can be written
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

/** Whether there is a state, or anything else at its path. */
export function hasState(path: string): boolean {
  return find(path) !== undefined;
}

function readState(path: string, owner: number | null): string | Taken {
  const found = find(path);
  if (found === undefined) return NONE;
  if (!found.isFile()) return FOREIGN;
  return withFile(path, "r", (file) => {
    const info = files().fstatSync(file); // of the open file, because the path may name another by now
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

// Never reuses a file or follows a link at the path, because another user may have put it there, readable by
// all. Returns the owner, from the open file, because the path may name another by now.
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

/** Removes a file. Returns whether there was one. */
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
  if (isWindows()) return; // a directory cannot be opened there
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

// Not imported at the top, because loading it takes Deno some milliseconds, which only a state needs.
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

function sha256(text: string): string {
  return process.getBuiltinModule("node:crypto").createHash("sha256").update(text).digest("hex");
}
