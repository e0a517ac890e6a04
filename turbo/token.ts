/**
 * Signed lists of topics: a page carries one, and its connection presents it.
 *
 * @module
 */
import { checkValue, type Rule, text } from "./checks.ts";
import { isCursor, MAX_TOKEN } from "./protocol.ts";

const PURPOSE = "turbo-stream";

/** The content of a token. */
export interface Claims {
  /** The path of the stream that the token is for, because several apps can share a key. */
  path: string;
  /** The topics that the page listens to. */
  topics: readonly string[];
  /** The only reader that may use the token; anyone where left out. */
  reader?: string | undefined;
  /** The cursor at which the page was rendered. Earlier pushes to the topics are not for it. */
  from: string;
  /** When the token expires, in milliseconds since 1970. */
  expires: number;
}

/** Least characters of a secret; a shorter one could be guessed. */
export const MIN_SECRET = 16;

/** Which secrets are allowed. */
export const SECRET_RULE: Rule = {
  ...text((secret) => secret.length >= MIN_SECRET, `a text of at least ${MIN_SECRET} characters`),
  isSecret: true,
};

/** Signs topics for the pages of one application, and verifies the tokens that they send back. */
export class Signer {
  readonly #lifetime: number;
  readonly #onNotice: (message: string) => void;
  /** The secret that an engine keeps across restarts; used where no other is set. */
  kept: string | undefined;
  readonly #secret: string | undefined;
  readonly #random: string = crypto.randomUUID();
  #isNoticed = false;

  /**
   * Signs with the given secret, otherwise with that of the environment, otherwise with a random one.
   *
   * @throws {RangeError} when the secret of the environment is too short
   */
  constructor(options: {
    secret: string | undefined;
    lifetime: number;
    onNotice: (message: string) => void;
  }) {
    this.#secret = options.secret ?? readSecret();
    this.#lifetime = options.lifetime;
    this.#onNotice = options.onNotice;
  }

  /**
   * Makes a token for topics of the stream at a path, for a page rendered at the cursor `from` and, where
   * given, for one reader only.
   *
   * @throws {RangeError} when the token is longer than a page can send back
   */
  sign({ path, topics, reader, from }: Omit<Claims, "expires">): string {
    const expires = Date.now() + this.#lifetime;
    const token = sign({ path, topics, reader, from, expires }, this.#key());
    if (token.length > MAX_TOKEN) {
      throw new RangeError(
        `Cannot sign ${topics.length} topics: the token has ${token.length} characters, ` +
          `at most ${MAX_TOKEN} are allowed`,
      );
    }
    if (this.#key() === this.#random && !this.#isNoticed) {
      this.#isNoticed = true;
      this.#onNotice(
        "No secret is set: topics are signed with a random key, and a page that comes from another " +
          "process, or from before a restart, is refreshed. Set the option secret or TURBO_SECRET",
      );
    }
    return token;
  }

  /** The content of a token for the stream at this path; `undefined` where it is not valid. */
  verify(token: string, path: string): Claims | undefined {
    const claims = verify(token, this.#key());
    return claims?.path === path ? claims : undefined;
  }

  #key(): string {
    return this.#secret ?? this.kept ?? this.#random;
  }
}

/** Signs claims (HMAC-SHA-256). */
export function sign(claims: Claims, secret: string): string {
  const payload = Buffer.from(JSON.stringify({ purpose: PURPOSE, ...claims })).toString(
    "base64url",
  );
  return `${payload}.${signature(payload, secret)}`;
}

/** The content of a token; `undefined` where it was not signed with this secret or has expired. */
export function verify(
  token: string,
  secret: string,
  now: number = Date.now(),
): Claims | undefined {
  if (token.length > MAX_TOKEN) return undefined;
  const [payload, given, ...rest] = token.split(".");
  if (!payload || !given || rest.length > 0) return undefined;
  const expected = Buffer.from(signature(payload, secret));
  const actual = Buffer.from(given);
  const { timingSafeEqual } = nodeCrypto();
  if (expected.length !== actual.length || !timingSafeEqual(expected, actual)) return undefined;
  const claims = parse(Buffer.from(payload, "base64url").toString());
  return claims && claims.expires > now ? claims : undefined;
}

// The content is checked although the signature is right, because the app may sign other things with the key.
function parse(payload: string): Claims | undefined {
  try {
    const { purpose, path, topics, reader, from, expires } = JSON.parse(payload) ?? {};
    const valid = purpose === PURPOSE && typeof path === "string" && Array.isArray(topics) &&
      topics.every((topic) => typeof topic === "string") &&
      (reader === undefined || typeof reader === "string") && isCursor(from) &&
      typeof expires === "number";
    return valid ? { path, topics, reader, from, expires } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function signature(payload: string, secret: string): string {
  return nodeCrypto().createHmac("sha256", secret).update(payload).digest("base64url");
}

// Not imported at the top, because loading it takes Deno as long as all of this package, and only topics
// need it. The functions of `crypto.subtle` are asynchronous.
function nodeCrypto(): typeof import("node:crypto") {
  return process.getBuiltinModule("node:crypto");
}

function readSecret(): string | undefined {
  const secret = variable("TURBO_SECRET") || undefined;
  if (secret !== undefined) checkValue("Turbo", "TURBO_SECRET", secret, SECRET_RULE);
  return secret;
}

/** A variable of the environment, where this process may read it. It never makes Deno prompt. */
function variable(name: string): string | undefined {
  if (typeof Deno === "undefined") return globalThis.process?.env[name];
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}
