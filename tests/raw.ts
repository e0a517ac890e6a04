/**
 * A client over bare TCP, for handshakes and frames that no correct client sends.
 *
 * @module
 */
import { within } from "./kit.ts";

const encoder = new TextEncoder();
const latin1 = new TextDecoder("latin1");

/** The headers of a valid handshake. The key is the one of RFC 6455, section 1.3. */
export const HANDSHAKE: Readonly<Record<string, string>> = {
  "Host": "127.0.0.1",
  "Upgrade": "websocket",
  "Connection": "Upgrade",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13",
};

/** An answer, or the part of it that arrived before the connection ended. */
export interface RawAnswer {
  /** The status; 0 if the connection ended without one. */
  readonly status: number;
  /** The headers, by lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  /** Head and body as received, one character for each byte. */
  readonly text: string;
}

/** A frame from the server. */
export interface Frame {
  /** 1 text, 2 binary, 8 close, 9 ping, 10 pong (RFC 6455, section 5.2). */
  readonly opcode: number;
  /** The payload. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** One TCP connection. */
export class RawSocket implements AsyncDisposable {
  readonly #conn: Deno.TcpConn;
  #rest: Uint8Array<ArrayBuffer> = new Uint8Array();
  #ended = false;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /** Connects. */
  static async open(port: number, hostname = "127.0.0.1"): Promise<RawSocket> {
    return new RawSocket(await within(Deno.connect({ port, hostname }), "TCP to connect"));
  }

  /** Opens a WebSocket; throws if the answer is not 101. */
  static async upgrade(
    port: number,
    path = "/turbo-stream",
    headers: Record<string, string> = {},
  ): Promise<RawSocket> {
    const socket = await RawSocket.open(port);
    await socket.write(request(`GET ${path} HTTP/1.1`, { ...HANDSHAKE, ...headers }));
    const { status, text } = await socket.answer();
    if (status === 101) return socket;
    await socket[Symbol.asyncDispose]();
    throw new Error(`Not upgraded: ${text}`);
  }

  /** Writes everything. Returns whether the other side has taken it. */
  async write(data: string | Uint8Array): Promise<boolean> {
    let bytes = typeof data === "string" ? latin1Bytes(data) : data;
    try {
      while (bytes.length > 0) bytes = bytes.subarray(await this.#conn.write(bytes));
      return true;
    } catch (error) {
      if (isDisconnect(error)) return false;
      throw error;
    }
  }

  /** Reads an answer: its head, and the body that the head announces. */
  async answer(): Promise<RawAnswer> {
    let text = "";
    const complete = () => {
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return false;
      const head = text.slice(0, end);
      if (/^HTTP\/1\.[01] (1\d\d|204|304)/.test(head)) return true;
      if (/^transfer-encoding: chunked/im.test(head)) return text.endsWith("0\r\n\r\n");
      const length = /^content-length: (\d+)/im.exec(head)?.[1];
      return length !== undefined && text.length >= end + 4 + Number(length);
    };
    while (!complete() && await this.#fill()) {
      text += latin1.decode(this.#rest);
      this.#rest = new Uint8Array();
    }
    const end = text.indexOf("\r\n\r\n") + 4;
    const head = end > 3 ? text.slice(0, end) : text;
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
    if (status === 101) this.#rest = latin1Bytes(text.slice(end));
    const headers = new Map(
      [...head.matchAll(/^([^:\r\n]+):[ \t]*(.*?)\r?$/gm)].map(([, name, value]) => [
        name!.toLowerCase(),
        value!,
      ]),
    );
    return { status, headers, text };
  }

  /** Reads exactly some number of bytes. */
  async read(length: number): Promise<Uint8Array<ArrayBuffer>> {
    while (this.#rest.length < length) {
      if (!await this.#fill()) throw new Error("The connection ended");
    }
    const bytes = this.#rest.slice(0, length);
    this.#rest = this.#rest.slice(length);
    return bytes;
  }

  /** Ends its side of the connection. */
  async finish(): Promise<void> {
    try {
      await this.#conn.closeWrite();
    } catch (error) {
      if (!isDisconnect(error) && !(error instanceof Deno.errors.NotConnected)) throw error;
    }
  }

  /** Reads the first bytes that arrive; empty if the connection ends without any. */
  async beginning(): Promise<string> {
    await this.#fill();
    return latin1.decode(this.#rest);
  }

  /** Reads what arrives next, at most 64 KiB, one character for each byte; `undefined` at the end. */
  async take(): Promise<string | undefined> {
    if (this.#rest.length === 0 && !await this.#fill()) return undefined;
    const text = latin1.decode(this.#rest);
    this.#rest = new Uint8Array();
    return text;
  }

  /** Reads one frame; `undefined` if the connection has ended. */
  async frame(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#takeFrame();
      if (frame) return frame;
      if (!await this.#fill()) return undefined;
    }
  }

  /** Reads until the server closes. Returns the code of its close frame; 1006 if it sent none. */
  async closeCode(): Promise<number> {
    for (;;) {
      const frame = await this.frame();
      if (!frame) return 1006;
      if (frame.opcode !== 8) continue;
      return frame.payload.length < 2 ? 1005 : frame.payload[0]! * 256 + frame.payload[1]!;
    }
  }

  /** Reads to the end of the connection. */
  async ended(): Promise<void> {
    while (await this.#fill()) this.#rest = new Uint8Array();
  }

  [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
    return Promise.resolve();
  }

  async #fill(): Promise<boolean> {
    if (this.#ended) return false;
    const chunk = new Uint8Array(65_536);
    let read: number | null = null;
    try {
      read = await within(this.#conn.read(chunk), "bytes of the server");
    } catch (error) {
      if (!isDisconnect(error)) {
        this.#conn.close(); // ends the pending read
        this.#ended = true;
        throw error;
      }
    }
    if (read === null) {
      this.#ended = true;
      return false;
    }
    const rest = new Uint8Array(this.#rest.length + read);
    rest.set(this.#rest);
    rest.set(chunk.subarray(0, read), this.#rest.length);
    this.#rest = rest;
    return true;
  }

  #takeFrame(): Frame | undefined {
    const bytes = this.#rest;
    if (bytes.length < 2) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const short = bytes[1]! & 0x7f;
    const start = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (bytes.length < start) return undefined;
    const length = short === 127
      ? Number(view.getBigUint64(2))
      : short === 126
      ? view.getUint16(2)
      : short;
    if (bytes.length < start + length) return undefined;
    this.#rest = bytes.slice(start + length);
    return { opcode: bytes[0]! & 0x0f, payload: bytes.slice(start, start + length) };
  }
}

/** Reads until a later number arrives than the given one, which `pushing_app.ts` pushed. */
export async function numberAfter(socket: RawSocket, number: number): Promise<void> {
  for (;;) {
    const text = await socket.take();
    if (!text || text.includes("The reader is too slow")) {
      throw new Error("The connection was ended");
    }
    const [, found = "0"] = /<i>(\d+)<\/i>/.exec(text) ?? [];
    if (Number(found) > number) return;
  }
}

/** Sends one request over a connection of its own and reads the answer. */
export async function ask(port: number, data: string | Uint8Array): Promise<RawAnswer> {
  await using socket = await RawSocket.open(port);
  await socket.write(data);
  return await socket.answer();
}

/** The status of the answer to one request, whose body may be endless; 0 without an answer. */
export async function statusOf(port: number, data: string | Uint8Array): Promise<number> {
  await using socket = await RawSocket.open(port);
  await socket.write(data);
  const line = latin1.decode(await socket.read("HTTP/1.1 200".length));
  return Number(/^HTTP\/1\.[01] (\d{3})$/.exec(line)?.[1] ?? 0);
}

/** The bytes of a request. A header whose value is a list is sent once for each value. */
export function request(
  line: string,
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  body = "",
): string {
  const fields = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}\r\n`)
  );
  return `${line}\r\n${fields.join("")}\r\n${body}`;
}

/** Options of a frame that a client sends. */
export interface FrameOptions {
  /** Default 1, text. */
  opcode?: number;
  /** Whether it is the last of its message. Default `true`. */
  fin?: boolean;
  /** The three reserved bits, 0 to 7. Default 0. */
  reserved?: number;
  /** Whether it is masked, as it must be from a client. Default `true`. */
  mask?: boolean;
}

/** The bytes of a frame (RFC 6455, section 5.2). The mask is zero, so the payload stays readable. */
export function frame(
  payload: string | Uint8Array,
  { opcode = 1, fin = true, reserved = 0, mask = true }: FrameOptions = {},
): Uint8Array<ArrayBuffer> {
  const body = typeof payload === "string" ? encoder.encode(payload) : payload;
  const extra = body.length > 65_535 ? 8 : body.length > 125 ? 2 : 0;
  const bytes = new Uint8Array(2 + extra + (mask ? 4 : 0) + body.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = (fin ? 0x80 : 0) | reserved << 4 | opcode;
  bytes[1] = (mask ? 0x80 : 0) | (extra === 8 ? 127 : extra === 2 ? 126 : body.length);
  if (extra === 2) view.setUint16(2, body.length);
  if (extra === 8) view.setBigUint64(2, BigInt(body.length));
  bytes.set(body, bytes.length - body.length);
  return bytes;
}

/** A close frame with only a code. */
export function closeFrame(code: number): Uint8Array<ArrayBuffer> {
  return frame(new Uint8Array([code >> 8, code & 255]), { opcode: 8 });
}

function latin1Bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function isDisconnect(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.ConnectionAborted || error instanceof Deno.errors.Interrupted;
}
