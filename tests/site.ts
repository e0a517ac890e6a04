/**
 * What a site behind TLS needs in tests: a certificate, and clients that trust it.
 *
 * @module
 */
import { isListening, pause, QUICK, until, within } from "./kit.ts";
import { outputOf, succeeds } from "./processes.ts";
import { request } from "./raw.ts";

/** Options of a test with a site of this program, which these arguments make say its version. */
export async function needs(
  program: string,
  ...args: string[]
): Promise<Pick<Deno.TestDefinition, "ignore">> {
  const canRun = !QUICK && Deno.build.os === "linux" && await succeeds(program, ...args) &&
    await succeeds("openssl", "version");
  if (!canRun && !QUICK) {
    console.log(`NOTICE: ${program} or openssl is not installed, its tests are skipped`);
  }
  return { ignore: !canRun };
}

/** A directory with a certificate for `localhost`, which a proxy may fill with its own files. */
export interface SiteDirectory extends AsyncDisposable {
  /** Its path. It has `fullchain.pem` and `privkey.pem`. */
  readonly path: string;
  /** The certificate. */
  readonly cert: string;
}

/** Makes a directory with a certificate. */
export async function siteDirectory(name: string): Promise<SiteDirectory> {
  const path = await Deno.makeTempDir({ prefix: `turbo-deno-${name}-` });
  const options = [
    ...["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
    ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ...["-keyout", `${path}/privkey.pem`, "-out", `${path}/fullchain.pem`],
  ];
  await outputOf(["openssl", "req", "-x509", ...options]);
  return {
    path,
    cert: await Deno.readTextFile(`${path}/fullchain.pem`),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** Clients of a site on this machine. */
export interface SiteClients extends AsyncDisposable {
  /** `https://localhost:PORT/`. */
  readonly url: string;
  /** Its certificate. */
  readonly cert: string;
  /** What `fetch` and `WebSocket` need to trust the site. It speaks HTTP/1.1. */
  readonly client: Deno.HttpClient;
  /** Opens a TLS connection. */
  connect(): Promise<Deno.TlsConn>;
  /** Asks for a URL of the site by HTTP/1.1: by HTTP/2 nginx sends an Upgrade that the app answers with. */
  fetch(url: string, init?: RequestInit): Promise<Response>;
  /** Sends the text of a request, and returns what is answered. */
  ask(text: string): Promise<string>;
  /** The same without TLS. */
  askPlain(text: string): Promise<string>;
  /** The status of the answer. */
  status(text: string): Promise<number>;
}

/** Makes clients for the two ports of a site. */
export function siteClients(
  { tls, plain, cert }: { tls: number; plain: number; cert: string },
): SiteClients {
  const client = Deno.createHttpClient({ caCerts: [cert], http2: false });
  async function connect(): Promise<Deno.TlsConn> {
    const conn = await Deno.connectTls({ hostname: "localhost", port: tls, caCerts: [cert] });
    try {
      await conn.handshake(); // otherwise the first write may wait for it
    } catch (error) {
      conn.close(); // a proxy that rejects it may end it before or after this has opened
      throw error;
    }
    return conn;
  }
  async function ask(text: string, open: () => Promise<Deno.Conn> = connect): Promise<string> {
    using conn = await within(open(), "a connection");
    await conn.write(encode(text));
    let answer = "";
    const chunk = new Uint8Array(65_536);
    while (!answer.startsWith("HTTP/1.1 101") || !answer.includes("\r\n\r\n")) {
      const read = await within(readOrEnd(conn, chunk), "an answer");
      if (read === null) break;
      answer += new TextDecoder().decode(chunk.subarray(0, read));
      if (/^HTTP\/1\.1 [345]/.test(answer)) break;
    }
    return answer;
  }
  return {
    url: `https://localhost:${tls}/`,
    cert,
    client,
    connect,
    fetch: (url, init = {}) => fetch(url, { ...init, client }),
    ask: (text) => ask(text),
    askPlain: (text) => ask(text, () => Deno.connect({ hostname: "127.0.0.1", port: plain })),
    status: async (text) => Number((await ask(text)).slice(9, 12)),
    [Symbol.asyncDispose]() {
      client.close();
      return Promise.resolve();
    },
  };
}

/** Waits until something listens on a port of this machine. */
export function listens(port: number, what: string): Promise<void> {
  return until(() => isListening(port), `${what} listens`);
}

/** A request for the site. */
export function get(line: string, headers: Record<string, string> = {}): string {
  return request(line, { Host: "localhost", Connection: "close", ...headers });
}

/** Bytes of a text. */
export function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Whether an error says that the other side has ended a connection. */
export function isReset(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.UnexpectedEof;
}

/** Reads from a connection as `read()` does, and takes a reset for its end. */
async function readOrEnd(conn: Deno.Conn, chunk: Uint8Array<ArrayBuffer>): Promise<number | null> {
  try {
    return await conn.read(chunk);
  } catch (error) {
    if (!isReset(error)) throw error;
    return null;
  }
}

/**
 * Sends the beginning of a request and then some bytes now and then, until the site closes the connection.
 * Returns what it has answered.
 */
export async function drip(
  site: Pick<SiteClients, "connect">,
  head: string,
  bytes: string,
): Promise<string> {
  using conn = await within(site.connect(), "TLS");
  let isOpen = true;
  const writing = (async () => {
    try {
      await conn.write(encode(head));
      while (isOpen) {
        await pause(200);
        await conn.write(encode(bytes));
      }
    } catch (error) {
      if (!isReset(error)) throw error;
    }
  })();
  const chunk = new Uint8Array(65_536);
  let text = "";
  for (;;) {
    const read = await within(readOrEnd(conn, chunk), "the proxy to close a slow connection");
    if (read === null) break;
    text += new TextDecoder().decode(chunk.subarray(0, read));
  }
  isOpen = false;
  await writing;
  return text;
}

/** The processes that a process has started. */
export async function childrenOf(pid: number): Promise<string[]> {
  const text = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
  return text.split(" ").filter((child) => child !== "");
}

/** Makes a proxy read its files again by a signal, and waits until it has started another process for them. */
export async function reloadBy(signal: Deno.Signal, proxy: Deno.ChildProcess): Promise<void> {
  const before = await childrenOf(proxy.pid);
  proxy.kill(signal);
  await until(
    async () => (await childrenOf(proxy.pid)).some((child) => !before.includes(child)),
    "a new process has read the files",
  );
}
