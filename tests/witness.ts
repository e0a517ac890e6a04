/**
 * A well-behaved page beside hostile clients. It records what it missed, and the longest time without a
 * push.
 *
 * @module
 */
import { connect, parseFrame, PROTOCOL, type TestClient, until } from "./kit.ts";

/** A page of `apps/stream_app.ts`, which numbers its pushes. */
export class Witness implements AsyncDisposable {
  /** How many pushes have arrived. */
  pushes = 0;
  /** Pushes that were not the next one: `5 after 3`. */
  readonly gaps: string[] = [];
  /** The close code from the server. */
  closeCode: number | undefined;
  readonly #client: TestClient;
  #latest: number | undefined;
  #at = performance.now();
  #silence = 0;

  private constructor(client: TestClient) {
    this.#client = client;
    client.socket.onmessage = ({ data }) => this.#take(data); // instead of keeping them
    client.closed.then(({ code }) => this.closeCode = code);
  }

  /** Connects, and waits for the first push. */
  static async connect(url: string, headers: Record<string, string> = {}): Promise<Witness> {
    const witness = new Witness(await connect(url, { protocol: PROTOCOL, headers }));
    await until(() => witness.pushes > 0, "the first push");
    return witness;
  }

  /** The longest time without a push, in milliseconds, including the current one. */
  get silence(): number {
    return Math.round(Math.max(this.#silence, performance.now() - this.#at));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  #take(data: string): void {
    for (const { html } of parseFrame(data)) {
      for (const [, number] of html.matchAll(/<i>(\d+)<\/i>/g)) this.#count(Number(number));
    }
  }

  #count(number: number): void {
    const now = performance.now();
    if (this.#latest !== undefined) {
      this.#silence = Math.max(this.#silence, now - this.#at);
      if (number !== this.#latest + 1) this.gaps.push(`${number} after ${this.#latest}`);
    }
    [this.#latest, this.#at] = [number, now];
    this.pushes++;
  }
}
