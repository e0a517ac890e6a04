/**
 * Which entries of the log supersede earlier ones.
 *
 * @module
 */
import type { Meaning } from "./subject.ts";

/** Whom an entry is for, as a text that is the same for equal audiences. */
export function audienceKey(to: readonly string[] | undefined): string {
  if (to === undefined) return "";
  return to.length === 1 ? `"${to[0]}` : JSON.stringify([...to].sort());
}

/**
 * The conflation keys of an entry: first its own, then others that it supersedes. Only an entry that is
 * one `update`, or one `replace` by a single element with the same id, has keys.
 */
export function conflationKeys({ state }: Meaning, audience: string): string[] {
  if (!state) return [];
  const key = (action: string) => `${action} ${state.id}"${audience}`;
  return state.action === "replace" ? [key("replace"), key("update")] : [key("update")];
}
