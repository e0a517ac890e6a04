// @ts-check
/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

/** Keeps what a reader has typed, chosen and opened through every morph. */
export function keepEdits() {}

/** Carries edits over a full load. */
export function carryEdits() {}

/** Whether the reader has changed something. */
export function hasEdits() {
  return false;
}
