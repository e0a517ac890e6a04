/**
 * Signed lists of topics, which a page carries and its connection shows.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";

const PURPOSE = "turbo-stream";

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
  const [payload, given, ...rest] = token.split(".");
  if (!payload || !given || rest.length > 0) return undefined;
  const expected = Buffer.from(signature(payload, secret));
  const actual = Buffer.from(given);
  if (expected.length !== actual.length || !timingSafeEqual(expected, actual)) return undefined;
  const { purpose, ...grant } = JSON.parse(Buffer.from(payload, "base64url").toString());
  return purpose === PURPOSE && grant.expires > now ? grant : undefined;
}

function signature(payload: string, secret: string): string {
  return createHmac("sha256", secret).update(payload).digest("base64url");
}
