/**
 * The link between a replica and its server: two connections that open and end together.
 *
 * @module
 */
import { connect, type Connection, type Server } from "./redis_client.ts";
import { type Failure, failureOf } from "./redis_errors.ts";
import { ask, canNumber, keptSecret } from "./redis_stream.ts";
import type { Command, Reply } from "./stream_commands.ts";

/** Callbacks of a {@linkcode Link}. None is called after `lost`, or after the link was closed. */
export interface LinkEvents {
  /** Both connections are open. */
  connected(): void;
  /** An answer has come. Answers of one connection come in the order of its commands. */
  reply(reply: Reply): void;
  /** The secret stored with the stream is known. Called before any answer that depends on it. */
  secret(secret: string): void;
  /** The connections could not be opened, or one of them has ended. */
  lost(failure: Failure): void;
}

/** Options of {@linkcode Link}. */
export interface LinkOptions {
  /** The key of the stream. */
  readonly key: string;
  /** About how many entries the stream keeps. */
  readonly maxEntries: number;
  /** The secret to store with the stream where it has none. */
  readonly secret: string;
  /** Milliseconds in which both connections must be ready. */
  readonly timeout?: number;
}

const CONNECT_TIMEOUT = 5_000;

/** Two connections to a server: one for a replica's reads, which block, and one for everything else. */
export class Link {
  readonly #server: Server;
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  readonly #end = new AbortController();
  readonly #opening: Promise<void>;
  #isOver = false;
  #secret: string;
  #isScripted = false;
  #commands: Connection | undefined;
  #reads: Connection | undefined;
  /** For each connection, a promise of all its answers so far. */
  #answers = { commands: Promise.resolve(), reads: Promise.resolve() };

  /** Starts to open the connections. */
  constructor(server: Server, options: LinkOptions, events: LinkEvents) {
    this.#server = server;
    this.#options = options;
    this.#events = events;
    this.#secret = options.secret;
    this.#opening = this.#open().catch((error) => this.#lose(error));
  }

  /** Sends a command. */
  send(command: Command): void {
    const { key, maxEntries } = this.#options;
    const way = command.kind === "read" ? "reads" : "commands";
    const connection = way === "reads" ? this.#reads : this.#commands;
    if (this.#isOver || !connection) return;
    const answer = ask(connection, command, { key, maxEntries, isScripted: this.#isScripted });
    answer.catch(() => {}); // it is awaited in its turn, below
    this.#answers[way] = this.#answers[way].then(async () => {
      const reply = await answer;
      // A new epoch means that the stream was lost, and perhaps the secret with it. Somebody may also have
      // deleted the secret alone, so that a new node would store another.
      const isReborn = reply.kind === "read" &&
        reply.entries.some(({ position }) => position === 0);
      const mayBeGone = isReborn || reply.kind === "look";
      if (mayBeGone && this.#commands) await this.#keepSecret(this.#commands);
      if (!this.#isOver) this.#events.reply(reply);
    }).catch((error) => this.#lose(error));
  }

  /** Ends both connections. Resolves when nothing is left of them. */
  async close(): Promise<void> {
    this.#stop(new Error("closed"));
    await Promise.all([this.#opening, this.#answers.commands, this.#answers.reads]);
  }

  async #open(): Promise<void> {
    const { key, timeout = CONNECT_TIMEOUT } = this.#options;
    const by = this.#server.isTls ? " by TLS" : "";
    const late = () => this.#lose(new Error(`it has not answered${by} within ${timeout / 1000} s`));
    const timer = setTimeout(late, timeout);
    try {
      this.#commands = await this.#connect();
      this.#isScripted = !await canNumber(this.#commands, key);
      await this.#keepSecret(this.#commands);
      this.#reads = await this.#connect();
    } finally {
      clearTimeout(timer);
    }
    if (!this.#isOver) this.#events.connected();
  }

  async #connect(): Promise<Connection> {
    const { signal } = this.#end;
    const connection = await connect(this.#server, signal);
    if (signal.aborted) connection.close();
    signal.throwIfAborted();
    connection.ended.then((error) => this.#lose(error));
    return connection;
  }

  async #keepSecret(connection: Connection): Promise<void> {
    this.#secret = await keptSecret(connection, this.#options.key, this.#secret);
    if (!this.#isOver) this.#events.secret(this.#secret);
  }

  #lose(error: unknown): void {
    if (this.#isOver) return;
    this.#stop(error);
    const { name: server } = this.#server;
    this.#events.lost(failureOf(error, { server, key: this.#options.key }));
  }

  #stop(reason: unknown): void {
    this.#isOver = true;
    this.#commands?.close();
    this.#reads?.close();
    this.#end.abort(reason);
  }
}
