/**
 * One connection to a Redis or Valkey server, through the official client. Automatic reconnecting and
 * resending are switched off, because the engine decides about them.
 *
 * @module
 */
import { percentDecoded } from "./percent_encoding.ts";

/** One connection to a server. */
export interface Connection {
  /**
   * Sends a command and resolves to its answer. Answers come in the order of the commands.
   *
   * @throws {RefusedError} when the server answers with an error
   */
  command(args: readonly string[]): Promise<unknown>;
  /** Ends the connection at once. Commands that are not answered yet reject. */
  close(): void;
  /** Resolves to the reason when the connection has ended by itself; never after `close`. */
  readonly ended: Promise<Error>;
}

/** The error with which a server refuses a command. */
export class RefusedError extends Error {
  override name = "RefusedError";
}

/** The address of a server, and the credentials for it. */
export interface Server {
  /** Its host name or IP address. */
  readonly host: string;
  /** Its port. */
  readonly port: number;
  /** Whether to use TLS. */
  readonly isTls: boolean;
  /** The user; `undefined` for the server's default user. */
  readonly username: string | undefined;
  /** The password. */
  readonly password: string | undefined;
  /** The number of the database. */
  readonly database: number;
  /** `host:port`, for messages. */
  readonly name: string;
}

/** Milliseconds after which the client itself gives up. The abort signal comes earlier. */
const MAX_TIMEOUT = 60_000;

const DEFAULT_PORT = 6379;

/**
 * The server that a URL names: `redis://` or, with TLS, `rediss://`, then `user:password@` or
 * `:password@` where needed, host, port and `/` with the number of the database. `undefined` for any
 * other URL.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { serverOf } from "./redis_client.ts";
 *
 * const { name, isTls, password, database } = serverOf("rediss://:p%40ss@db.example/2")!;
 * assert.deepEqual([name, isTls, password, database], ["db.example:6379", true, "p@ss", 2]);
 * ```
 */
export function serverOf(text: string): Server | undefined {
  const url = URL.parse(text);
  const [, database] = /^\/?(\d{0,9})$/.exec(url?.pathname ?? "") ?? [];
  const isKnown = url?.protocol === "redis:" || url?.protocol === "rediss:";
  if (!isKnown || !url.hostname || database === undefined || url.search || url.hash) {
    return undefined;
  }
  const [username, password] = [percentDecoded(url.username), percentDecoded(url.password)];
  if (username === undefined || password === undefined) return undefined;
  const port = url.port === "" ? DEFAULT_PORT : Number(url.port);
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port,
    isTls: url.protocol === "rediss:",
    username: username || undefined,
    password: password || undefined,
    database: Number(database),
    name: `${url.hostname}:${port}`,
  };
}

/**
 * Opens a connection, logs in and selects the database.
 *
 * @throws the reason of the signal, when it is aborted before the connection is open
 * @throws {RefusedError} when the server rejects the credentials or the database
 * @throws {Error} when the server cannot be reached
 */
export async function connect(
  { host, port, isTls, username, password, database }: Server,
  signal: AbortSignal,
): Promise<Connection> {
  const { createClient, ErrorReply } = await import("./redis_client.min.js");
  const client = createClient({
    RESP: 2,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    database,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: "disabled",
    commandOptions: { timeout: undefined },
    socket: {
      host,
      port,
      tls: isTls,
      connectTimeout: MAX_TIMEOUT,
      reconnectStrategy: false,
      signal,
    },
  });
  // The first error: after it the client is unusable.
  let failure: Error | undefined;
  const ended = new Promise<Error>((resolve) => {
    client.on("error", (error) => resolve(failure ??= error));
  });
  const opening = client.connect();
  opening.catch(() => {}); // it may reject after something else has failed first
  try {
    signal.throwIfAborted();
    await Promise.race([opening, ended.then((error) => Promise.reject(error))]);
  } catch (error) {
    client.destroy();
    signal.throwIfAborted();
    throw error instanceof ErrorReply ? new RefusedError(error.message) : error;
  }
  ended.then(() => client.destroy()); // an answer that cannot be parsed does not close the socket
  return {
    async command(args) {
      try {
        return await client.sendCommand(args);
      } catch (error) {
        throw error instanceof ErrorReply ? new RefusedError(error.message) : failure ?? error;
      }
    },
    close: () => client.destroy(),
    ended,
  };
}
