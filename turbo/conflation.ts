/**
 * Which entries of the log take the place of earlier ones.
 *
 * @module
 */
/** Whom entries are for, as far as it matters: those of one audience can supersede each other. */
interface Audience {
  readonly to?: readonly string[] | undefined;
  readonly except?: string | undefined;
}

/**
 * The key under which an entry is found and, after it, the keys that it supersedes too. Only a
 * lone `replace` or `update` of one id has a key; a `replace` only where the new element has the
 * target's id, for otherwise the next one finds nothing and this one must stay.
 */
export function conflationKeys(html: string, { to, except }: Audience): string[] {
  if (except !== undefined) return [];
  const [head, verb, target] =
    /^<turbo-stream action="(replace|update)" target="([^"]*)"(?: method="morph")?>/.exec(html) ??
      [];
  if (!head || html.indexOf("</turbo-stream>") !== html.length - "</turbo-stream>".length) {
    return [];
  }
  const key = (verb: string) => JSON.stringify([verb, target, to ? [...to].sort() : null]);
  if (verb === "update") return [key("update")];
  const [tag = ""] = /^<template>\s*<[a-z][^\s/>]*(?:\s+[^\s=>]+(?:="[^"]*")?)*/i.exec(
    html.slice(head.length),
  ) ?? [];
  return tag.includes(` id="${target}"`) ? [key("replace"), key("update")] : [];
}
