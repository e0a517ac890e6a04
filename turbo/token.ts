/**
 * Signed lists of topics, which a page carries and its connection shows.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import { MAX_TOKEN } from "./protocol.ts";

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

/** Signs topics for the pages of one application, and reads what they send back. */
export class Signer {
  readonly #lifetime: number;
  readonly #onNotice: (message: string) => void;
  /** Used where no secret is set: one that outlives this process, as an engine can keep it. */
  kept: string | undefined;
  #secret: string | undefined;
  #isRandom = false;
  #isNoticed = false;

  /** A signer whose secret is given, or that of the environment, or random. */
  constructor(options: {
    secret: string | undefined;
    lifetime: number;
    onNotice: (message: string) => void;
  }) {
    this.#secret = options.secret;
    this.#lifetime = options.lifetime;
    this.#onNotice = options.onNotice;
  }

  /**
   * A token for these topics and, where given, for this reader alone.
   *
   * @throws {RangeError} when it is longer than a page can send back
   */
  sign(topics: readonly string[], reader: string | undefined): string {
    const token = sign({ topics, reader, expires: Date.now() + this.#lifetime }, this.#key());
    if (token.length > MAX_TOKEN) {
      throw new RangeError(
        `Cannot sign ${topics.length} topics: the token has ${token.length} characters, ` +
          `at most ${MAX_TOKEN} are allowed`,
      );
    }
    if (this.#isRandom && !this.#isNoticed) {
      this.#isNoticed = true;
      this.#onNotice(
        "No secret is set: topics are signed with a random key, and a page that comes from another " +
          "process, or from before a restart, is refreshed. Set the option secret or TURBO_SECRET",
      );
    }
    return token;
  }

  /** What a token grants, or `undefined` where it does not hold. */
  verify(token: string): Grant | undefined {
    return verify(token, this.#key());
  }

  #key(): string {
    this.#secret ??= readSecret() ?? this.kept;
    if (this.#secret === undefined) {
      this.#secret = crypto.randomUUID();
      this.#isRandom = true;
    }
    return this.#secret;
  }
}

/** Signs a grant (HMAC-SHA-256). */
export function sign(grant: Grant, secret: string): string {
  const payload = Buffer.from(JSON.stringify({ purpose: PURPOSE, ...grant })).toString("base64url");
  return `${payload}.${signature(payload, secret)}`;
}

/** What a token grants, or `undefined` where it is not one of ours or no longer holds. */
export function verify(token: string, secret: string, now: number = Date.now()): Grant | undefined {
  if (token.length > MAX_TOKEN) return undefined;
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

function readSecret(): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: "TURBO_SECRET" });
  return state === "granted" ? Deno.env.get("TURBO_SECRET") || undefined : undefined;
}
