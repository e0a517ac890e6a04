/**
 * The rules for the options that the Redis engine and {@linkcode Pusher} have in common.
 *
 * @module
 */
import { type Rule, text } from "./checks.ts";
import { serverOf } from "./redis_client.ts";

/** The URL of a server. */
export const URL_RULE: Rule = {
  ...text(
    (url) => serverOf(url) !== undefined,
    'a URL such as "redis://user:password@host:6379/0" (rediss:// for TLS; all but the host may be ' +
      "left out; user and password with %-escapes)",
  ),
  isSecret: true,
};

/** The key of a stream. */
export const KEY_RULE: Rule = text(
  (key) => key !== "" && key.length <= 200,
  "a text of 1 to 200 characters",
);
