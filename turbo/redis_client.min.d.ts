/**
 * What is used of `@redis/client`, of which redis_client.min.js is made: see tests/bundle.ts.
 *
 * @module
 */

/** Options of {@linkcode createClient}. */
export interface RedisClientOptions {
  RESP: 2;
  username?: string;
  password?: string;
  database?: number;
  /** Rejects a command where there is no connection, instead of keeping it for the next one. */
  disableOfflineQueue: true;
  disableClientInfo: true;
  maintNotifications: "disabled";
  /** Milliseconds for which a command may wait until it is written. */
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

/** One connection. */
export interface RedisClient {
  connect(): Promise<unknown>;
  sendCommand(args: readonly string[]): Promise<unknown>;
  /** Ends it at once. What is not answered yet rejects. */
  destroy(): void;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** A client that has not connected yet. */
export function createClient(options: RedisClientOptions): RedisClient;

/** What the server answers instead of doing what it is asked. */
export class ErrorReply extends Error {}
