/**
 * Signed lists of topics, which a page carries and its connection shows.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";

const PURPOSE = "turbo-stream";
/** Longer than any token of ours; hashing what a stranger sends is not free. */
const MAX_LENGTH = 8 * 1024;

/** What a token says. */
export interface Grant {
  /** The topics that the page listens to. */
  topics: readonly string[];
  /** The only reader that may use it; anyone where left out. */
  reader?: string | undefined;
  /** When it ends, in milliseconds since 1970. */
  expires: number;
}

/** Signs a grant (HMAC-SHA-256). */
export function sign(grant: Grant, secret: string): string {
  const payload = Buffer.from(JSON.stringify({ purpose: PURPOSE, ...grant })).toString("base64url");
  return `${payload}.${signature(payload, secret)}`;
}

/** What a token grants, or `undefined` where it is not one of ours or no longer holds. */
export function verify(token: string, secret: string, now: number = Date.now()): Grant | undefined {
  if (token.length > MAX_LENGTH) return undefined;
  const [payload, given, ...rest] = token.split(".");
  if (!payload || !given || rest.length > 0) return undefined;
  const expected = Buffer.from(signature(payload, secret));
  const actual = Buffer.from(given);
  if (expected.length !== actual.length || !timingSafeEqual(expected, actual)) return undefined;
  const grant = parse(Buffer.from(payload, "base64url").toString());
  return grant && grant.expires > now ? grant : undefined;
}

// Signed with our key does not mean written by us: the key may sign other things too.
function parse(payload: string): Grant | undefined {
  try {
    const { purpose, topics, reader, expires } = JSON.parse(payload) ?? {};
    const valid = purpose === PURPOSE && Array.isArray(topics) &&
      topics.every((topic) => typeof topic === "string") &&
      (reader === undefined || typeof reader === "string") && typeof expires === "number";
    return valid ? { topics, reader, expires } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function signature(payload: string, secret: string): string {
  return createHmac("sha256", secret).update(payload).digest("base64url");
}
