/**
 * What a Redis server or the way to it may answer instead of doing what it is asked, and whether that
 * can become right by itself. Pure.
 *
 * @module
 */
import { reasonOf } from "./report.ts";

/** What went wrong, for whoever runs this. */
export interface Failure {
  /** In one line, with what is to be done; without the password. */
  readonly reason: string;
  /** Whether it will be the same again until somebody has changed something. */
  readonly isFatal: boolean;
}

/** What is asked of whom. */
export interface Asked {
  /** `host:port`. */
  readonly server: string;
  /** The key of the stream. */
  readonly key: string;
}

/** Something that cannot become right by itself, and what is to be done. */
type Fatal = readonly [pattern: RegExp, advice: (asked: Asked) => string];

/** The variable that names a file of certificates which this runtime accepts beside its own. */
const CA_VARIABLE = typeof Deno === "undefined" ? "NODE_EXTRA_CA_CERTS" : "DENO_CERT";

/** By the server's words, which begin with a code, or those of Deno and the client. */
const FATAL: readonly Fatal[] = [
  [/^WRONGPASS|^ERR invalid password/, () => "the URL has a wrong user or password"],
  [/^NOAUTH/, () => "it wants a password, and the URL has none"],
  [
    /^ERR (Client sent AUTH, but|AUTH <password> called without)/,
    () => "it has no password, and the URL has one",
  ],
  [/^DENIED/, () => "it is in protected mode: give it a password"],
  [
    /^NOPERM/,
    ({ key }) =>
      `the user may not do what is needed: allow the keys ${key} and ${key}:*, and the commands get, ` +
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
  [/^(MOVED|CROSSSLOT)/, () => "it is part of a cluster, where this does not work"],
  [/which is none of turbo-deno/, () => 'set the option "key" to another'],
  [/^Unknown RESP type/, () => "what answers there is no Redis, or wants TLS (rediss://)"],
  [/InvalidContentType|wrong version number/i, () => "it speaks no TLS: use redis://"],
  [
    /certificate|UnknownIssuer/i,
    () => `its certificate is not accepted: ${CA_VARIABLE} names the file of a CA`,
  ],
];

/** What the client says, in other words. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ["Socket closed unexpectedly", "it has closed the connection"],
  ["read ECONNRESET", "it has closed the connection"],
]);

/** What an error means. */
export function failureOf(error: unknown, asked: Asked): Failure {
  // The arguments of a command that is not known may be the password.
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

/** Characters of what a server says, at most. */
const MAX_REASON = 300;
