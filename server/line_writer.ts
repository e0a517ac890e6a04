/**
 * Writes lines to where a slow or dead reader must not stop this process.
 *
 * @module
 */

/** Where the bytes go, such as `Deno.stderr`. */
export interface Sink {
  /** Writes some of the bytes, and resolves to how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/** Options of a {@linkcode LineWriter}. */
export interface LineWriterOptions {
  /** Where the lines go. Default `Deno.stderr`. */
  sink?: Sink;
  /** Most bytes that wait. A line beyond that is lost. Default 1 MiB. */
  maxBuffered?: number;
  /** Makes the line that reports how many lines are lost, as soon as lines are written again. Default: none. */
  lost?: (count: number) => string;
}

/** The most bytes that a pipe takes without those of another process in between (PIPE_BUF of Linux). */
const BATCH = 4_096;
/** Milliseconds after which a sink that cannot take more now is tried again. */
const RETRY = 50;

/**
 * Writes lines in order, one write at a time, and never waits in `write()`.
 *
 * Standard error is often a pipe or the socket of journald. Where its reader is stuck and it is full,
 * `console.error` and `Deno.stderr.writeSync` block the whole process: no timer runs, no request is answered.
 * `Deno.stderr.write` waits in a thread of its own. So the lines wait here, in bounded memory, and what is
 * too much is counted and lost. A write that fails, as where the reader is gone or the disk is full, loses
 * its lines and nothing else.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { LineWriter } from "./line_writer.ts";
 *
 * const written: string[] = [];
 * const writer = new LineWriter({
 *   sink: {
 *     write(bytes) {
 *       written.push(new TextDecoder().decode(bytes));
 *       return Promise.resolve(bytes.length);
 *     },
 *   },
 * });
 * writer.write("one");
 * writer.write("two");
 * await writer.flush(1_000);
 * assert.equal(written.join(""), "one\ntwo\n");
 * ```
 */
export class LineWriter {
  readonly #sink: Sink;
  readonly #maxBuffered: number;
  readonly #lostLine: ((count: number) => string) | undefined;
  /** The lines that wait, oldest first. */
  #lines: Uint8Array[] = [];
  #buffered = 0;
  #lost = 0;
  /** The writing, while there is something to write. */
  #writing: Promise<void> | undefined;

  /** Starts without lines. */
  constructor({ sink = Deno.stderr, maxBuffered = 1024 ** 2, lost }: LineWriterOptions = {}) {
    this.#sink = sink;
    this.#maxBuffered = maxBuffered;
    this.#lostLine = lost;
  }

  /** Writes a line, which must contain no line break, as soon as the ones before it are written. Never throws. */
  write(line: string): void {
    const bytes = new TextEncoder().encode(`${line}\n`);
    if (this.#buffered + bytes.length > this.#maxBuffered) this.#lost++;
    else this.#add(bytes);
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when all lines so far are written or lost, or after the given milliseconds. */
  async flush(milliseconds: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, milliseconds));
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
  }

  #add(bytes: Uint8Array): void {
    this.#lines.push(bytes);
    this.#buffered += bytes.length;
  }

  async #writeAll(): Promise<void> {
    await Promise.resolve(); // so that lines of one turn of the event loop are one write
    while (this.#lines.length > 0) {
      const { bytes, count } = this.#batch();
      try {
        await this.#writeBytes(bytes);
        this.#reportLost();
      } catch {
        this.#lost += count; // there is nowhere to say why: this is where it would be said
      }
      this.#buffered -= bytes.length;
    }
    this.#writing = undefined;
  }

  /** Takes the oldest lines: as many as are written together, and at least one. */
  #batch(): { bytes: Uint8Array; count: number } {
    let [count, length] = [1, this.#lines[0]!.length];
    while (count < this.#lines.length && length + this.#lines[count]!.length <= BATCH) {
      length += this.#lines[count++]!.length;
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const line of this.#lines.splice(0, count)) {
      bytes.set(line, at);
      at += line.length;
    }
    return { bytes, count };
  }

  async #writeBytes(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      try {
        const written = await this.#sink.write(rest);
        if (written === 0) throw new Error("Cannot write: the sink takes nothing");
        rest = rest.subarray(written);
      } catch (error) {
        if (!(error instanceof Deno.errors.WouldBlock)) throw error;
        // Another process that has the same pipe made it non-blocking.
        await new Promise<void>((resolve) => Deno.unrefTimer(setTimeout(resolve, RETRY)));
      }
    }
  }

  #reportLost(): void {
    if (this.#lost === 0 || !this.#lostLine) return;
    const line = this.#lostLine(this.#lost);
    this.#lost = 0;
    this.#add(new TextEncoder().encode(`${line}\n`));
  }
}
