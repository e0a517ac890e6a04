/**
 * Asks a process on this machine whether it is ready, for `--healthcheck`.
 *
 * @module
 */
import { bracketed } from "./addresses.ts";

/** Options of {@linkcode checkHealth}. */
export interface HealthCheck {
  /** The port that the process listens on. */
  port: number;
  /** The address that it listens on. The loopback address stands for all addresses. */
  hostname: string;
  /** The path below which it is reached, such as `/load`. Default: none. */
  base?: string | undefined;
  /** Most milliseconds until the answer. Default 5,000. */
  deadline?: number;
}

/** The most characters of an answer that are read. */
const MAX_ANSWER = 65_536;
/** The most characters of an answer's body that an error quotes. */
const MAX_QUOTE = 200;

/**
 * Asks `/readyz`. Resolves where the answer is 200 and says how the process is: ready or degraded. It speaks
 * HTTP itself: `fetch` would ask the proxy that `HTTP_PROXY` names.
 *
 * @throws {Error} that says in one line why the process is not ready
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { checkHealth } from "./health_check.ts";
 *
 * const answer = () => Response.json({ status: "draining" }, { status: 503 });
 * const server = Deno.serve({ port: 0, onListen() {} }, answer);
 * const { port } = server.addr;
 * await assert.rejects(checkHealth({ port, hostname: "0.0.0.0" }), {
 *   message: `http://127.0.0.1:${port}/readyz answers 503: {"status":"draining"}`,
 * });
 * await server.shutdown();
 * ```
 */
export async function checkHealth(
  { port, hostname, base = "", deadline = 5_000 }: HealthCheck,
): Promise<void> {
  if (port === 0) throw new Error("Cannot ask for the health: the port is 0, so it is not known");
  const host = loopbackOf(hostname);
  const url = `http://${bracketed(host)}:${port}${base}/readyz`;
  const { status, body } = await ask(url, { host, port, deadline });
  const [line = ""] = body.trim().split("\n");
  const quoted = line.slice(0, MAX_QUOTE).replace(/\p{C}/gu, "\ufffd"); // which a terminal could obey
  if (status !== 200) throw new Error(`${url} answers ${status}: ${quoted}`);
  if (!isReadiness(body)) throw new Error(`${url} is answered by another program: ${quoted}`);
}

/** Whether the body of an answer is one of `healthAnswers`. */
function isReadiness(body: string): boolean {
  try {
    return typeof JSON.parse(body)?.status === "string";
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** The address by which this machine reaches what listens on another one of its own. */
function loopbackOf(hostname: string): string {
  if (hostname === "0.0.0.0") return "127.0.0.1";
  return hostname === "::" ? "::1" : hostname;
}

interface Address {
  host: string;
  port: number;
  deadline: number;
}

async function ask(
  url: string,
  { host, port, deadline }: Address,
): Promise<{ status: number; body: string }> {
  const signal = AbortSignal.timeout(deadline);
  try {
    using conn = await Deno.connect({ hostname: host, port, signal });
    const close = () => conn.close();
    signal.addEventListener("abort", close, { once: true });
    try {
      return await exchange(conn, new URL(url));
    } finally {
      signal.removeEventListener("abort", close);
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const reason = signal.aborted ? `no answer in ${deadline / 1000} s` : error.message;
    throw new Error(`Cannot ask ${url}: ${reason}`, { cause: error });
  }
}

async function exchange(
  conn: Deno.Conn,
  { host, pathname }: URL,
): Promise<{ status: number; body: string }> {
  const head = `GET ${pathname} HTTP/1.0\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  await conn.write(new TextEncoder().encode(head));
  let answer = "";
  for await (const text of conn.readable.pipeThrough(new TextDecoderStream())) {
    answer += text;
    if (answer.length > MAX_ANSWER) break;
  }
  const [, status] = /^HTTP\/1\.[01] (\d{3})/.exec(answer) ?? [];
  if (status === undefined) throw new Error("the answer is not HTTP");
  return { status: Number(status), body: answer.split("\r\n\r\n").slice(1).join("\r\n\r\n") };
}
