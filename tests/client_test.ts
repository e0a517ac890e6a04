import assert from "node:assert/strict";
import { Network, openPage, type Page, PageClock } from "./headless_page.ts";

const CURSOR = "epoch.1";

/** A page whose network opens what the test lets it. */
function start() {
  const clock = new PageClock();
  const opened: Source[] = [];
  const streams: Source[] = [];
  let [refuses, hangs] = [true, false];

  class Source extends EventTarget {
    static readonly CONNECTING = 0;
    readonly readyState = Source.CONNECTING;
    isClosed = false;
    onopen = () => {};
    onclose = (_: { code: number }) => {};
    onerror = () => {};

    constructor() {
      super();
      opened.push(this);
    }

    close(): void {
      this.isClosed = true;
    }

    /** An event of the server. */
    tell(type: string, lastEventId = "", data = ""): void {
      this.dispatchEvent(new MessageEvent(type, { lastEventId, data }));
    }
  }
  class Socket extends Source {
    constructor() {
      super();
      if (!hangs) queueMicrotask(() => this.onclose({ code: 1006 }));
    }
  }
  class Stream extends Source {
    constructor() {
      super();
      streams.push(this);
      if (!hangs) queueMicrotask(() => refuses ? this.onerror() : this.onopen());
    }
  }

  const page: Page = openPage("http://localhost", CURSOR, {
    ...{ clock, network: new Network() },
    ...{ WebSocket: Socket, EventSource: Stream },
  });
  return {
    clock,
    page,
    /** All that it has opened, and which of these are streams of events. */
    opened,
    streams,
    /** From now on streams of events open, and no WebSocket, as with some proxies. */
    allowStreams: () => void (refuses = false),
    /** From now on nothing opens, and nothing fails. */
    hang: () => void (hangs = true),
    /** Goes on until something is so. */
    async until(condition: () => boolean): Promise<void> {
      await Promise.resolve();
      while (!condition()) {
        assert(clock.now < 120_000, "it never comes to be so");
        clock.runNext();
        await Promise.resolve();
      }
    },
  };
}

Deno.test("A page whose stream of events is ended by the server comes back at once, and once", async () => {
  const { page, streams, allowStreams, until } = start();
  allowStreams();
  await until(() => streams.length === 2); // between them one more WebSocket was tried
  const first = streams[1]!;
  first.tell("cursor", CURSOR);
  await until(() => page.state === "open");
  first.tell("again");
  assert.deepEqual([first.isClosed, streams.length], [true, 3], "no timer had to run");
  const second = streams[2]!;
  first.tell("again"); // which is not the one that is read
  assert.deepEqual([second.isClosed, streams.length], [false, 3]);
  second.tell("cursor", CURSOR);
  await until(() => page.state === "open");
});

Deno.test("A page gives a connection that is being opened as long as any other, however long it had none", async () => {
  const { clock, opened, hang, until } = start();
  await until(() => clock.now > 60_000);
  hang();
  const before = opened.length;
  await until(() => opened.length > before);
  const end = clock.now + 30_000;
  await until(() => clock.now > end);
  assert.equal(opened.length, before + 1, "it is still waited for");
  await until(() => opened.length > before + 1);
  assert(clock.now > end + 5_000 && opened[before]!.isClosed);
});
