/**
 * One order for many processes, on one machine or many: a stream on a Redis or Valkey server, which all
 * of them follow.
 *
 * @example An app that can run as many processes
 * ```ts
 * import { Turbo } from "./mod.ts";
 * import { redis } from "./redis.ts";
 *
 * export async function start(url: string): Promise<Turbo> {
 *   const turbo = new Turbo({ engine: redis({ url }) }); // such as "redis://localhost"
 *   await turbo.ready;
 *   return turbo;
 * }
 * ```
 *
 * @module
 */
import { checkOptions, checkValue, integer, milliseconds, type Rule } from "./checks.ts";
import type { Copy, Engine, Push } from "./engine.ts";
import { type Server, serverOf } from "./redis_client.ts";
import type { Failure } from "./redis_errors.ts";
import { Link } from "./redis_link.ts";
import { concernsPages } from "./outbox.ts";
import { KEY_RULE, URL_RULE } from "./redis_options.ts";
import { contentOf, type Effect, type Event, Replica } from "./replica.ts";
import { reasonOf } from "./report.ts";
import type { Content } from "./stream_entry.ts";
import { StreamWriter } from "./stream_writer.ts";

/** Options of {@linkcode redis}. Times are in milliseconds. */
export interface RedisOptions {
  /**
   * URL of the server: `redis://user:password@host:port/database` or, with TLS, `rediss://`. Everything
   * but the host may be left out. Percent-encode user and password.
   */
  url: string;
  /**
   * Key of the stream: the same in all processes of an application, and a different one for each
   * application. Keys that start with it and `:` are used too. Default `turbo`.
   */
  key?: string;
  /**
   * How long pushes wait for a silent server. After that they go only to the pages of this process, which
   * all fetch themselves when the server is back. Default 1,000.
   */
  hold?: number;
  /**
   * Longest time between two signs of life of a process. After two to three intervals without one, the
   * others count it as gone. Default 5,000.
   */
  interval?: number;
  /** About how many entries the server keeps in the stream. Default 10,000. */
  maxEntries?: number;
}

const RULES = {
  url: URL_RULE,
  key: KEY_RULE,
  hold: milliseconds(10, 60_000),
  interval: milliseconds(100, 60 * 60 * 1000),
  maxEntries: integer(100, 100_000_000),
} satisfies Record<keyof RedisOptions, Rule>;

/** Milliseconds between two ticks of the replica. */
const TICK = 100;
/** Milliseconds that a closing process waits for its pushes to reach the stream. */
const CLOSE_TIMEOUT = 1_000;
/** Milliseconds in which a push after the end must reach the stream. */
const LATE_TIMEOUT = 5_000;

/**
 * Creates an engine for all processes that name the same server and key: what one of them pushes reaches
 * the pages of all, in one order. While the server is away each process continues alone, and its pages
 * fetch themselves when the server is back. Needs `--allow-net=HOST:PORT`, and Valkey or Redis 7 or newer
 * (Redis 6.2 works, at a higher cost). Each `Turbo` needs its own.
 *
 * @throws {TypeError | RangeError} when an option is wrong or unknown
 */
export function redis(options: RedisOptions): Engine {
  const checked = checkOptions("redis()", options, RULES);
  checkValue("redis()", "url", checked.url, URL_RULE);
  return new Redis(serverOf(checked.url)!, checked);
}

class Redis implements Engine {
  readonly #server: Server;
  readonly #name: string;
  readonly #linkOptions: { readonly key: string; readonly maxEntries: number };
  readonly #replica: Replica;
  #outcome!: { resolve(): void; reject(error: Error): void };
  readonly #ready = new Promise<void>((resolve, reject) => {
    this.#outcome = { resolve, reject };
  });
  #isReady = false;
  #copy!: Copy; // start() sets it
  #link: Link | undefined;
  /** Resolves when nothing is left of the links that were closed. */
  #closing: Promise<void> = Promise.resolve();
  #secret = randomSecret();
  #ticking: ReturnType<typeof setInterval> | undefined;
  #isClosed = false;
  /** Resolves when all that was pushed after the end is stored. Never rejects. */
  #late: Promise<void> = Promise.resolve();
  #isBusy = false;
  readonly #events: Event[] = [];
  #flushes: { readonly until: number; readonly resolve: () => void }[] = [];

  constructor(
    server: Server,
    { key = "turbo", hold = 1_000, interval = 5_000, maxEntries = 10_000 }: RedisOptions,
  ) {
    this.#server = server;
    this.#name = `Redis at ${server.name}`;
    this.#linkOptions = { key, maxEntries };
    this.#replica = new Replica({
      node: crypto.randomUUID().replaceAll("-", "").slice(0, 16),
      hold,
      interval,
      random: Math.random,
      wallClock: Date.now,
      server: this.#name,
    });
    this.#ready.catch(() => {}); // an app need not await it: the reason is also a notice
  }

  get ready(): Promise<void> {
    return this.#ready;
  }

  get away(): string | undefined {
    return this.#replica.away;
  }

  start(copy: Copy): void {
    if (this.#copy) {
      throw new Error("Cannot start a redis engine twice: each Turbo needs one of its own");
    }
    this.#copy = copy;
    const tick = () => this.#happen({ type: "tick" });
    this.#ticking = setInterval(tick, TICK);
    tick();
  }

  push(push: Push): void {
    // Rendered here, so that an error reaches the caller of `push`, and what the function itself pushes
    // comes first.
    const html = "html" in push && typeof push.html === "function" ? push.html() : undefined;
    if (html === "" || ("html" in push && push.html === "")) return;
    if (this.#isClosed) this.#pushLate(contentOf(push, html, ""));
    else this.#happen({ type: "push", push, html });
  }

  flush(): Promise<void> {
    const until = this.#replica.pushed +
      this.#events.filter(({ type }) => type === "push").length;
    if (this.#isClosed) return this.#late;
    if (this.#replica.settled >= until) return Promise.resolve();
    return new Promise((resolve) => this.#flushes.push({ until, resolve }));
  }

  async close(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, CLOSE_TIMEOUT));
    let isLate = false;
    late.then(() => isLate = true);
    // Contested pushes may have been pushed again meanwhile, and come after those that were awaited.
    while (this.#replica.settled < this.#replica.pushed && !isLate) {
      await Promise.race([this.flush(), late]);
    }
    clearTimeout(timer);
    clearInterval(this.#ticking);
    if (this.#copy && this.#replica.owes) {
      this.#copy.notice(
        `${this.#name} has not stored everything that this node has pushed: pages of other nodes ` +
          "may show old content",
      );
    }
    this.#isClosed = true;
    this.#settle();
    this.#disconnect();
    await this.#closing;
  }

  /** Handles events one after the other: those that effects cause, such as pushes, wait in the queue. */
  #happen(event: Event): void {
    if (this.#isClosed) return;
    this.#events.push(event);
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      for (let next; (next = this.#events.shift());) {
        for (const effect of this.#replica.step(next, performance.now())) this.#attempt(effect);
      }
    } finally {
      this.#isBusy = false;
    }
    this.#settle();
  }

  // A request that was still being answered while the connections closed may push afterwards, and what it
  // has changed concerns the pages of the other nodes.
  #pushLate(content: Content): void {
    if (!this.#isReady || !concernsPages(content)) return;
    const { key } = this.#linkOptions;
    const writer = new StreamWriter({ server: this.#server, key, timeout: LATE_TIMEOUT });
    this.#late = this.#late.then(async () => {
      try {
        await writer.write(content);
      } catch (error) {
        this.#copy.notice(`Pages of other nodes may show old content: ${reasonOf(error)}`);
      }
      await writer.close();
    });
  }

  #settle(): void {
    const { state, settled } = this.#replica;
    if (state !== "starting") {
      this.#isReady = true;
      this.#outcome.resolve();
    }
    const waiting = this.#flushes;
    this.#flushes = waiting.filter(({ until }) => !this.#isClosed && until > settled);
    for (const { until, resolve } of waiting) if (this.#isClosed || until <= settled) resolve();
  }

  /** An effect that fails does not stop those after it, on which the replica relies. */
  #attempt(effect: Effect): void {
    try {
      this.#carryOut(effect);
    } catch (error) {
      const { log } = this.#copy;
      this.#copy.notice(`${this.#name} has sent an entry that cannot be used: ${reasonOf(error)}`);
      if (!("position" in effect)) return;
      // The pages fetch themselves, and so get what the entry would have shown.
      if (effect.position !== undefined && log.position < effect.position) {
        log.skip(effect.position);
      }
      this.#copy.restart();
    }
  }

  #carryOut(effect: Effect): void {
    const copy = this.#copy;
    const { log } = copy;
    switch (effect.type) {
      case "connect":
        return this.#connect();
      case "disconnect":
        return this.#disconnect();
      case "send":
        return this.#link?.send(effect.command);
      case "append": {
        const { html, to, except, position } = effect;
        const entry = log.append(html, { to, except }, position);
        if (effect.deliver) copy.deliver(entry);
        return;
      }
      case "skip":
        return log.skip(effect.position);
      case "revoke":
        log.revoke(effect.name, effect.position);
        if (effect.deliver) copy.revoke(effect.name);
        return;
      case "send away":
        return copy.disconnect(effect.name);
      case "fork":
        return log.fork();
      case "reset":
        return log.reset(effect.epoch, effect.position);
      case "restart":
        return copy.restart();
      case "hear":
        return copy.hear(effect.said);
      case "left":
        return copy.left(effect.node, effect.isOwn);
      case "say all":
        return copy.sayAll();
      case "notice":
        return copy.notice(effect.message);
      case "failed":
        return copy.notice(`Cannot render a push again: ${reasonOf(effect.error)}`);
    }
  }

  #connect(): void {
    this.#link = new Link(this.#server, { ...this.#linkOptions, secret: this.#secret }, {
      connected: () => this.#happen({ type: "connected" }),
      reply: (reply) => this.#happen({ type: "reply", reply }),
      secret: (secret) => this.#copy.secret = this.#secret = secret,
      lost: (failure) => this.#lost(failure),
    });
  }

  #disconnect(): void {
    const closing = this.#link?.close();
    this.#link = undefined;
    this.#closing = Promise.all([this.#closing, closing]).then(() => {});
  }

  #lost({ reason, isFatal }: Failure): void {
    this.#disconnect();
    if (isFatal && !this.#isReady) {
      const message = `Cannot use ${this.#name}: ${reason}`;
      this.#outcome.reject(new Error(message));
      this.#copy.notice(message);
    }
    this.#happen({ type: "lost", reason });
  }
}

/** A secret that signs the topics of all nodes, for the case that no other node has stored one. */
function randomSecret(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
}
