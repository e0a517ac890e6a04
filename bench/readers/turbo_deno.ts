/**
 * Readers of the app: the client's own rules (`client_core.js`) without a page around them. They load the
 * page, connect, and ask for what came after it, with the delays of the client.
 *
 * @module
 */
import { type Batch, Follower, Refetch, Shown, Transport } from "../../turbo/client_core.js";
import { type ReaderRecord, startReaders } from "./record.mjs";

const PROTOCOL = "turbo-stream.v2";
const SENT_AWAY = 4001;
const REFRESH = 'action="refresh"';

let pages = 0;

/** A page, and its connection: the rules of `client.js`, for a tab that is always visible. */
class Page {
  readonly #host: string;
  readonly #record: ReaderRecord;
  readonly #follower: Follower<never>;
  readonly #id = `bench${++pages}`;
  #transport = new Transport();
  #decisions = new Refetch();
  #source: WebSocket | EventSource | undefined;
  #spread = 0;
  #openedAt: number | undefined;
  #wasHeard = false;

  constructor(host: string, record: ReaderRecord) {
    this.#host = host;
    this.#record = record;
    this.#follower = new Follower<never>({
      ask: () => this.#ask(),
      give: (batch) => queueMicrotask(() => this.#paint(batch)),
      cancel() {},
      run: ({ html }) => this.#render(html),
      around: () => undefined,
      refetch: () => this.#fetchAgain(),
      resumed() {},
      changed: () => this.#changed(),
    });
  }

  /** Loads the page and connects. */
  async load(): Promise<void> {
    for (;;) {
      try {
        await this.#fetch();
        return this.#connect();
      } catch { // the server does not accept yet
        await pause(this.#decisions.delay(Math.random()));
      }
    }
  }

  async #fetch(): Promise<void> {
    const response = await fetch(`http://${this.#host}/`);
    const page = await response.text();
    if (!response.ok) throw new Error(`${response.status}`);
    const said = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(page)?.[1] ?? "";
    this.#spread = Number(said("data-spread"));
    const [cursor, path] = [response.headers.get("Turbo-Cursor")!, said("data-stream")];
    this.#follower.show(new Shown<never>({ id: this.#id, cursor, path, token: "" }));
  }

  async #fetchAgain(): Promise<void> {
    this.#record.fetched++;
    await pause(this.#decisions.delay(Math.random()));
    await this.#fetch().catch(() => this.#fetchAgain());
  }

  #connect(): void {
    const shown = this.#follower.shown!;
    this.#openedAt = undefined;
    this.#wasHeard = false;
    this.#follower.connecting(true);
    const url = new URL(shown.path, `http://${this.#host}`);
    url.searchParams.set("page", shown.id);
    url.searchParams.set("since", shown.oldest);
    if (this.#transport.kind === "websocket") this.#openWebSocket(url);
    else this.#openEvents(url);
  }

  #openWebSocket(url: URL): void {
    url.protocol = "ws:";
    const socket = this.#source = new WebSocket(url, PROTOCOL);
    socket.onopen = () => {
      this.#openedAt = performance.now();
      this.#follower.connected();
    };
    socket.onmessage = ({ data }) => {
      const entries: [cursor: string, html: string][] = JSON.parse(data);
      this.#hear(entries.map(([cursor, html]) => ({ cursor, html })));
    };
    socket.onclose = ({ code }) => {
      if (socket !== this.#source || code === SENT_AWAY) return;
      this.#lose(code === 1006);
    };
    socket.onerror = () => socket === this.#source && this.#lose(true);
  }

  #openEvents(url: URL): void {
    const source = this.#source = new EventSource(url);
    source.onopen = () => {
      this.#openedAt = performance.now();
      if (this.#transport.eventsOpened()) {
        this.#end(false);
        this.#connect();
      } else this.#follower.connected();
    };
    const receive = ({ lastEventId, data }: MessageEvent) => {
      if (source === this.#source) this.#hear([{ cursor: lastEventId, html: data }]);
    };
    source.onmessage = receive;
    source.addEventListener("cursor", receive);
    source.onerror = () => source === this.#source && this.#lose(true);
  }

  #hear(messages: { cursor: string; html: string }[]): void {
    this.#wasHeard = true;
    this.#follower.receive(messages);
  }

  #lose(wasCut: boolean): void {
    this.#end(wasCut);
    setTimeout(() => this.#connect(), this.#transport.delay(Math.random(), this.#spread));
  }

  #end(wasCut: boolean): void {
    const [source, openedAt] = [this.#source!, this.#openedAt];
    const hasOpened = openedAt !== undefined;
    if (!(source instanceof WebSocket)) this.#transport.eventsEnded(hasOpened);
    else if (wasCut || this.#wasHeard) {
      const age = hasOpened ? performance.now() - openedAt : 0;
      this.#transport.webSocketEnded({ hasOpened, wasHeard: this.#wasHeard, age, wasCut });
    }
    this.#source = undefined;
    source.close();
    this.#record.closes();
    this.#follower.disconnected();
  }

  #ask(): boolean {
    const { cursor, id } = this.#follower.shown!;
    if (this.#source instanceof WebSocket) this.#source.send(`since ${cursor} - ${id}`);
    return true;
  }

  #paint(batch: Batch<never>): void {
    if (this.#follower.batch === batch) this.#follower.painted(batch);
  }

  /** Returns whether the streams contain a refresh. */
  #render(html: string): boolean {
    this.#record.hears(html);
    return html.includes(REFRESH);
  }

  #changed(): void {
    if (!this.#follower.isCurrent) return;
    this.#transport.held();
    this.#decisions = new Refetch();
    this.#record.opens();
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

startReaders((host, record) => void new Page(host, record).load());
