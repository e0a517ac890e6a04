/**
 * The part of `@redis/client` that is used. `redis_client.min.js` is made from it by tests/bundle.ts.
 *
 * @module
 */

/** Options of {@linkcode createClient}. */
export interface RedisClientOptions {
  RESP: 2;
  username?: string;
  password?: string;
  database?: number;
  /** Rejects a command without a connection, instead of queueing it for the next connection. */
  disableOfflineQueue: true;
  disableClientInfo: true;
  maintNotifications: "disabled";
  /** Milliseconds that a command may wait to be written. */
  commandOptions: { timeout: undefined };
  socket: {
    host: string;
    port: number;
    tls: boolean;
    connectTimeout: number;
    reconnectStrategy: false;
    signal: AbortSignal;
  };
}

/** One connection to a server. */
export interface RedisClient {
  connect(): Promise<unknown>;
  sendCommand(args: readonly string[]): Promise<unknown>;
  /** Ends the connection at once. Commands that are not answered yet reject. */
  destroy(): void;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** A client that has not connected yet. */
export function createClient(options: RedisClientOptions): RedisClient;

/** The error with which a server refuses a command. */
export class ErrorReply extends Error {}
