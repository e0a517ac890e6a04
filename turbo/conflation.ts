/**
 * Which entries of the log take the place of earlier ones.
 *
 * @module
 */
import type { Meaning } from "./subject.ts";

/** Whom an entry is for, as text that is equal for equal audiences. */
export function audienceKey(to: readonly string[] | undefined): string {
  if (to === undefined) return "";
  return to.length === 1 ? `"${to[0]}` : JSON.stringify([...to].sort());
}

/**
 * The key under which an entry is found and, after it, the keys that it supersedes too. Only a lone
 * `update`, or a `replace` by one element with the same id, has a key.
 */
export function conflationKeys({ state }: Meaning, audience: string): string[] {
  if (!state) return [];
  const key = (action: string) => `${action} ${state.id}"${audience}`;
  return state.action === "replace" ? [key("replace"), key("update")] : [key("update")];
}
