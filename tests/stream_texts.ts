/**
 * The builders of streams as plain texts, for tests of the log and the protocol. The builders of
 * `turbo/streams.ts` return `String` objects.
 *
 * @module
 */
import * as streams from "../turbo/mod.ts";
import type { Stream } from "../turbo/mod.ts";

export type { Stream };

function asText<Given extends unknown[]>(build: (...given: Given) => Stream) {
  const text = (...given: Given): Stream => String(build(...given)) as Stream;
  return Object.defineProperty(text, "name", { value: build.name });
}

export const action = asText(streams.action);
export const after = asText(streams.after);
export const append = asText(streams.append);
export const before = asText(streams.before);
export const prepend = asText(streams.prepend);
export const refresh = asText(streams.refresh);
export const remove = asText(streams.remove);
export const replace = asText(streams.replace);
export const update = asText(streams.update);
