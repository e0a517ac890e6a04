/**
 * The limits in `docs/limits.md` are those of the code and of nginx's configuration.
 *
 * @module
 */
import assert from "node:assert/strict";
import { OPTIONS } from "../main.ts";

const ROOT = new URL("../", import.meta.url);

function textOf(file: string): string {
  return Deno.readTextFileSync(new URL(file, ROOT));
}

/** The number of a constant or a default in a file. */
function valueIn(file: string, name: string): number {
  const value = new RegExp(`\\b${name}(?:: number)?(?: =|:) ([\\dA-Z][\\w. *]*?) ?[,;}]`);
  const [, product] = value.exec(textOf(file)) ?? [];
  assert(product !== undefined, `${file} has no ${name}`);
  return product.split(" * ").map((factor) =>
    /^[A-Z_]+$/.test(factor) ? valueIn(file, factor) : Number(factor.replaceAll("_", ""))
  ).reduce((a, b) => a * b);
}

/** Whether a file has some text. */
function has(file: string, text: string): boolean {
  return textOf(file).includes(text);
}

/** A default of an option of `Turbo`. */
function option(name: string): number {
  return valueIn("turbo/options.ts", name);
}

/** The rate in a file: the first, or the one of this name. */
function rateIn(file: string, name = ""): { burst: number; perSecond: number } {
  const found = RegExp(`${name}[^]*?burst: ([\\d_]+), perSecond: ([\\d_]+)`).exec(textOf(file));
  assert(found, `${file} has no rate ${name}`);
  const [burst, perSecond] = found.slice(1).map((digits) => Number(digits.replaceAll("_", "")));
  return { burst: burst!, perSecond: perSecond! };
}

/** The value of a directive of nginx: the first group of a pattern. */
function nginx(pattern: RegExp): string {
  const found = pattern.exec(textOf("deploy/nginx-site.conf"));
  assert(found, `deploy/nginx-site.conf has no ${pattern}`);
  return found[1]!;
}

function count(value: number): string {
  return value === Infinity ? "none" : value.toLocaleString("en-US");
}

function seconds(milliseconds: number): string {
  return `${milliseconds / 1000} s`;
}

function minutes(milliseconds: number): string {
  return `${milliseconds / 60_000} minutes`;
}

function size(bytes: number): string {
  return bytes < 1024 ** 2 ? `${bytes / 1024} KiB` : `${bytes / 1024 ** 2} MiB`;
}

function rate({ burst, perSecond }: { burst: number; perSecond: number }): string {
  return `${count(burst)} at once, then ${count(perSecond)} a second`;
}

const PROTOCOL = "turbo/protocol.ts";
const LOG = "turbo/log.ts";
const HISTORY = "server/history.ts";
const logBytes = size(valueIn(LOG, "maxBytes"));
const drain = seconds(valueIn("turbo/turbo.ts", "deadline"));

/** The defaults, by the names of the limits. */
const DEFAULTS: Record<string, string> = {
  "connections of the process: open, being opened, closed but not gone": count(
    option("maxConnections"),
  ),
  "WebSockets closed but not gone, of all places":
    valueIn("server/health.ts", "MAX_ZOMBIES") === 0.5 ? "half" : "",
  "time to open": `${seconds(option("openTimeout"))}, and after ${
    seconds(valueIn("turbo/admission.ts", "OPENING_HOLDS_PLACE"))
  } it holds no place`,
  "connections of one address, where you give it": count(option("maxConnectionsPerAddress")),
  "connections of one address in nginx": count(+nginx(/limit_conn turbo_deno_streams (\d+);/)),
  "handshakes of one address, where you give it": rate(rateIn("turbo/options.ts")),
  "requests at work of one address in nginx": count(
    +nginx(/limit_conn turbo_deno_requests (\d+);/),
  ),
  "new requests of one address in nginx": rate({
    burst: +nginx(/limit_req zone=turbo_deno_rate burst=(\d+)/),
    perSecond: +nginx(/zone=turbo_deno_rate:\w+ rate=(\d+)r\/s/),
  }),
  "life of a stream of server-sent events": `about ${minutes(option("eventStreamLifetime"))}`,

  "time between two messages of pushes to one page": `${option("frame")} ms`,
  "bytes waiting for a reader, and in one message": size(option("behindAfter")),
  "the least that a reader takes": `one message of up to ${size(option("behindAfter"))} in ${
    seconds(option("dropAfter"))
  }, larger ones in proportion`,
  "bytes waiting, beside one large message, for a reader who takes nothing": size(
    option("maxBuffered"),
  ),
  "silence of a WebSocket": `${seconds(option("idleTimeout"))}, asked at ${
    seconds(option("idleTimeout") / 2)
  }`,
  "silence of the server": `${seconds(valueIn(PROTOCOL, "HEARTBEAT"))}, then a heartbeat`,

  "time between two reports of a page": has(PROTOCOL, "REPORT_INTERVAL = 60_000") ? "60 s" : "",
  "time for which `turbo.shown()` waits for reports": seconds(
    valueIn("turbo/audience.ts", "within"),
  ),

  "one message": size(valueIn(PROTOCOL, "MAX_MESSAGE")),
  "`since` of a page": rate(rateIn(PROTOCOL, "SINCE_RATE")),
  "what a page tells the inspector": rate(rateIn(PROTOCOL, "NOTE_RATE")),
  "`shown` of a page": rate(rateIn(PROTOCOL, "SINCE_RATE")),
  "messages without the sub-protocol": `${count(valueIn(PROTOCOL, "MAX_STRAY_MESSAGES"))} a minute`,
  "a request's head in nginx": nginx(/client_header_timeout (\d+)s;/) + " s",
  "a request's body in nginx": nginx(/client_max_body_size (\d+)k;/) + " KiB",
  "a body that a handler of `serve()` reads": seconds(valueIn("server/serve.ts", "bodyTimeout")),

  "what is kept for pages that are away, with the names it is for": `${
    count(valueIn(LOG, "maxEntries"))
  } entries, ${logBytes}, ${minutes(valueIn(LOG, "maxAge"))}`,
  "one push": `the log's ${logBytes}`,
  "names for which it is known what is gone": has(LOG, "#gone = new Watermarks(maxEntries)")
    ? "as many as entries"
    : "",

  "names of a reader, topics of a page": count(valueIn("turbo/audience.ts", "MAX_NAMES")),
  "a name": `${count(valueIn("turbo/audience.ts", "MAX_LENGTH"))} characters`,
  "life of a page's signed topics": option("tokenLifetime") === 24 * 3_600_000 ? "a day" : "",
  "time for which a reader who has left still counts": seconds(option("presenceGrace")),
  "what a node sends others about its readers": `at once, then every ${
    valueIn("turbo/presence.ts", "INTERVAL")
  } ms at most`,

  "memory of the process": `${count(OPTIONS.maxMemory.default)} MiB`,
  "time in which nothing can be accepted for lack of file descriptors": seconds(
    valueIn("server/serve.ts", "acceptTimeout"),
  ),
  "the drain": `${drain}, closes spread over the first half`,
  "lines of the log that wait for their reader":
    has("server/line_writer.ts", "maxBuffered = 1024 ** 2") ? "1 MiB" : "",

  "time for which pushes wait for a Redis that says nothing": seconds(
    valueIn("turbo/redis.ts", "hold"),
  ),
  "pushes that wait": `${count(valueIn("turbo/replica.ts", "MAX_WAITING"))}, of ${
    size(valueIn("turbo/replica.ts", "MAX_WAITING_BYTES"))
  }`,
  "entries that Redis keeps": `about ${count(valueIn("turbo/redis.ts", "maxEntries"))}`,

  "time for which each reading is kept": has(HISTORY, "KEPT_IN_FULL = HOUR +") ? "an hour" : "",
  "time for which these totals are kept": has(HISTORY, "KEPT = DAY +") ? "a day" : "",
  "readings closer together than half of `--interval`":
    has(HISTORY, "this.#readings.add({ value, at, time }, this.#interval / 2)")
      ? "one of them"
      : "",
  "holes, in which there was no reading": count(valueIn(HISTORY, "MAX_HOLES")),
  "time in which a reading must succeed": has("loadavg.ts", "source.patience ?? 1_000")
    ? "1 s"
    : "",
  "the file of readings": size(valueIn("server/history_file.ts", "MAX_BYTES")),
  "machines in a page": count(valueIn("server/load_row.ts", "MAX_ROWS")),
};

const page = textOf("docs/limits.md");

/** The rows of all tables of the page, without the headings. */
const rows = page.match(/^\| (?!limit |---).*$/gm)!.map((line) =>
  line.split("|").slice(1, -1).map((cell) => cell.trim())
);

Deno.test("docs/limits.md has each limit with the default of the code", () => {
  assert.deepEqual(
    rows.map(([limit, value]) => [limit, value]),
    Object.entries(DEFAULTS),
  );
});

Deno.test("docs/limits.md names only options that exist, and each option that is a limit", () => {
  const flags = Object.values(OPTIONS).map(({ flag }) => flag as string);
  const rules = /^const RULES = \{$([^]*?)^\} satisfies/m.exec(textOf("turbo/options.ts"))![1]!;
  const ofTurbo = [...rules.matchAll(/^ {2}(\w+): (.*)$/gm)];
  const others = ["hold", "maxEntries", "acceptTimeout", "bodyTimeout", "within"]; // of other functions
  const known = [...flags, ...ofTurbo.map(([, name]) => name!), ...others];
  const named = rows.flatMap(([, , set = ""]) =>
    [...set.matchAll(/`(-{0,2}[a-z-A-Z]+)`/g)].map(([, name]) => name!)
  );
  assert(named.length > 20, `${named.length} options`);
  for (const name of named) assert(known.includes(name), name);
  const limits = ofTurbo.filter(([, , rule]) => /^(integer|milliseconds)\(/.test(rule!));
  assert(limits.length > 10, `${limits.length} limits`);
  for (const [, name] of limits) assert(named.includes(name!), `${name} is missing`);
});

Deno.test("docs/limits.md has the time after which a page considers its connection dead, and that of the drain", () => {
  const [, times, of] = /const DEAD_AFTER = ([\d.]+) \* ([\d_]+);/.exec(textOf("turbo/client.js"))!;
  const dead = seconds(Number(times) * Number(of!.replaceAll("_", "")));
  assert(page.includes(`the page considers it dead after ${dead}`), dead);
  assert.equal(drain, seconds(OPTIONS.drain.default * 1000)); // the app's and that of close()
  const short = seconds(valueIn("server/serve.ts", "RESOURCES_DEADLINE"));
  assert.equal(page.split(`drain in ${short}, exit with code 3`).length, 3);
});
