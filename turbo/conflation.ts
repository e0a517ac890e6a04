/**
 * Which entries of the log take the place of earlier ones.
 *
 * @module
 */

/** Whom an entry is for, as text that is equal for equal audiences. */
export function audienceKey(to: readonly string[] | undefined): string {
  if (to === undefined) return "";
  return to.length === 1 ? `"${to[0]}` : JSON.stringify([...to].sort());
}

/**
 * The key under which an entry is found and, after it, the keys that it supersedes too. Only a
 * lone `replace` or `update` of one id has a key; a `replace` only where the new element has the
 * target's id, for otherwise the next one finds nothing and this one must stay.
 */
export function conflationKeys(html: string, audience: string): string[] {
  const [head, verb, target] =
    /^<turbo-stream action="(replace|update)" target="([^"]*)"(?: method="morph")?>/.exec(html) ??
      [];
  if (!head || html.indexOf("</turbo-stream>") !== html.length - "</turbo-stream>".length) {
    return [];
  }
  const key = (verb: string) => `${verb} ${target}"${audience}`; // no target holds a quote
  if (verb === "update") return [key("update")];
  const [tag = ""] = /^<template>\s*<[a-z][^\s/>]*(?:\s+[^\s=>]+(?:="[^"]*")?)*/i.exec(
    html.slice(head.length),
  ) ?? [];
  return tag.includes(` id="${target}"`) ? [key("replace"), key("update")] : [];
}
