/** Placeholder. @module */
/** Draws. */
export async function plot(): Promise<void> {}
