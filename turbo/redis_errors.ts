/**
 * Explains errors of a Redis server and of the connection to it, and says which of them can pass without
 * an operator. Pure.
 *
 * @module
 */
import { reasonOf } from "./report.ts";

/** An error, explained for the operator. */
export interface Failure {
  /** The reason and the remedy, in one line, without the password. */
  readonly reason: string;
  /** Whether it will fail again until an operator has changed something. */
  readonly isFatal: boolean;
}

/** The server and the key that a command was for. */
export interface Asked {
  /** `host:port`. */
  readonly server: string;
  /** The key of the stream. */
  readonly key: string;
}

/** An error that cannot pass without an operator, and the remedy. */
type Fatal = readonly [pattern: RegExp, advice: (asked: Asked) => string];

/** The environment variable that names a file of further certificates for this runtime to accept. */
const CA_VARIABLE = typeof Deno === "undefined" ? "NODE_EXTRA_CA_CERTS" : "DENO_CERT";

/** By the text of the error: of the server, which begins with a code, or of Deno and the client. */
const FATAL: readonly Fatal[] = [
  [/^WRONGPASS|^ERR invalid password/, () => "the URL has a wrong user or password"],
  [/^NOAUTH/, () => "it needs a password, and the URL has none"],
  [
    /^ERR (Client sent AUTH, but|AUTH <password> called without)/,
    () => "it has no password, and the URL has one",
  ],
  [/^DENIED/, () => "it is in protected mode: give it a password"],
  [
    /^NOPERM/,
    ({ key }) =>
      `the user lacks permissions: allow the keys ${key} and ${key}:*, and the commands get, ` +
      "set, xadd, xread, xrange, xrevrange and eval",
  ],
  [
    /^WRONGTYPE/,
    ({ key }) =>
      `the key ${key} or ${key}:secret holds something else: set the option "key" to another`,
  ],
  [/^ERR unknown command/, () => "it is too old, or a command is renamed: Redis 5 is needed"],
  [
    /^ERR (DB index is out of range|invalid DB index|SELECT is not allowed)/,
    () => "there is no such database: correct the number in the URL",
  ],
  [/^(MOVED|CROSSSLOT)/, () => "it is part of a cluster, which is not supported"],
  [/which turbo-deno has not written/, () => 'set the option "key" to another'],
  [/^Unknown RESP type/, () => "it is not a Redis server, or it needs TLS (rediss://)"],
  [/InvalidContentType|wrong version number/i, () => "it does not use TLS: write redis://"],
  [
    /certificate|UnknownIssuer/i,
    () => `its certificate is not accepted: ${CA_VARIABLE} names the file of a CA`,
  ],
];

/** Texts of the client, in plainer words. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ["Socket closed unexpectedly", "it has closed the connection"],
  ["read ECONNRESET", "it has closed the connection"],
]);

/** Explains an error. */
export function failureOf(error: unknown, asked: Asked): Failure {
  // The error for an unknown command quotes its arguments, and one of them may be the password.
  const reason = reasonOf(error).replace(/, with args beginning with:.*/, "").slice(0, MAX_REASON);
  const isDenied = (error instanceof Error && error.name === "NotCapable") ||
    /^getaddrinfo EPERM/.test(reason);
  const advice = isDenied
    ? `Deno needs --allow-net=${asked.server}`
    : FATAL.find(([pattern]) => pattern.test(reason))?.[1](asked);
  return advice === undefined
    ? { reason: WORDS.get(reason) ?? reason, isFatal: false }
    : { reason: `${advice} (${reason})`, isFatal: true };
}

/** Most characters of an error's text. */
const MAX_REASON = 300;
