import assert from "node:assert/strict";
import { Network, openPage, type Page, PageClock } from "./headless_page.ts";

const CURSOR = "epoch.1";

/** A page whose connections open when the test lets them. */
function start(options: { hidden?: boolean; background?: boolean } = {}) {
  const clock = new PageClock();
  const opened: Source[] = [];
  const streams: Source[] = [];
  let [refuses, hangs, sockets] = [true, false, "refused"];

  class Source extends EventTarget {
    static readonly CONNECTING = 0;
    readonly readyState = Source.CONNECTING;
    isClosed = false;
    onopen = () => {};
    onclose = (_: { code: number }) => {};
    onerror = () => {};
    onmessage = (_: { data: unknown }) => {};

    constructor() {
      super();
      opened.push(this);
    }

    close(): void {
      this.isClosed = true;
    }

    /** Sends an event from the server. */
    tell(type: string, lastEventId = "", data = ""): void {
      this.dispatchEvent(new MessageEvent(type, { lastEventId, data }));
    }
  }
  class Socket extends Source {
    constructor() {
      super();
      if (hangs) return;
      queueMicrotask(() => {
        if (sockets === "refused") return this.onclose({ code: 1006 });
        this.onopen();
        if (sockets === "swallowed") return;
        this.onmessage({ data: JSON.stringify([[CURSOR, ""]]) });
        if (sockets === "killed") clock.setTimeout(() => this.onclose({ code: 1006 }), 200);
      });
    }

    send(): void {}
  }
  class Stream extends Source {
    constructor() {
      super();
      streams.push(this);
      if (!hangs) queueMicrotask(() => refuses ? this.onerror() : this.onopen());
    }
  }

  const page: Page = openPage("http://localhost", CURSOR, {
    ...{ clock, network: new Network(), ...options },
    ...{ WebSocket: Socket, EventSource: Stream },
  });
  return {
    clock,
    page,
    /** Everything that it has opened, and which of these are event streams. */
    opened,
    streams,
    /** From now on only event streams open, and no WebSocket, as with some proxies. */
    allowStreams: () => void (refuses = false),
    /** From now on WebSockets open and receive nothing, are cut soon after, or work. */
    letSockets: (how: "swallowed" | "killed" | "held") => void (sockets = how),
    /** From now on connections neither open nor fail. */
    hang: () => void (hangs = true),
    /** Runs the clock until a condition holds. */
    async until(condition: () => boolean): Promise<void> {
      await Promise.resolve();
      while (!condition()) {
        assert(clock.now < 300_000, "it never comes to be so");
        clock.runNext();
        await Promise.resolve();
      }
    },
  };
}

Deno.test("A page whose event stream is ended by the server reconnects at once, and once", async () => {
  const { page, streams, allowStreams, until } = start();
  allowStreams();
  await until(() => streams.length === 2); // one more WebSocket was tried in between
  await Promise.resolve(); // it opens
  const first = streams[1]!;
  first.tell("cursor", CURSOR);
  await until(() => page.state === "open");
  first.tell("again");
  assert.deepEqual([first.isClosed, streams.length], [true, 3], "no timer had to run");
  await Promise.resolve();
  const second = streams[2]!;
  first.tell("again"); // the first stream is no longer the one that is read
  assert.deepEqual([second.isClosed, streams.length], [false, 3]);
  second.tell("cursor", CURSOR);
  await until(() => page.state === "open");
});

Deno.test("A page gives an opening connection the full time, however long it had none", async () => {
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

for (const how of ["swallowed", "killed"] as const) {
  Deno.test(`A page whose WebSockets are ${how} continues with server-sent events, and stays there`, async () => {
    const { page, opened, streams, letSockets, allowStreams, until } = start();
    letSockets(how);
    allowStreams();
    const states = new Set<string | undefined>();
    await until(() => {
      states.add(page.state);
      return streams.at(-1)?.isClosed === false && opened.at(-1) === streams.at(-1);
    });
    if (how === "swallowed") assert.deepEqual([...states], ["connecting", "closed"]);
    streams.at(-1)!.tell("cursor", CURSOR);
    await until(() => page.state === "open");
    const before = opened.length;
    streams.at(-1)!.onerror();
    await until(() => opened.length > before);
    assert.equal(opened.at(-1), streams.at(-1), "no WebSocket is tried again");
  });
}

Deno.test("A page returns to WebSockets after a working one was cut", async () => {
  const { clock, page, opened, streams, letSockets, until } = start();
  letSockets("held");
  await until(() => page.state === "open");
  for (let n = 0; n < 5; n++) {
    const end = clock.now + 5_000;
    await until(() => clock.now >= end);
    const before = opened.length;
    opened.at(-1)!.onclose({ code: 1006 });
    await until(() => opened.length > before && page.state === "open");
  }
  assert.equal(streams.length, 0);
});

Deno.test("A page that was opened hidden closes its connection like one that was hidden later", async () => {
  const { clock, page, opened, letSockets, until } = start({ hidden: true });
  letSockets("held");
  await until(() => page.state === "open");
  await until(() => page.state === "closed");
  assert.equal(clock.now, 30_000);
  assert.equal(opened.at(-1)!.isClosed, true);
});

Deno.test("A page that is followed in the background keeps its connection while hidden, and reconnects", async () => {
  const { clock, page, opened, letSockets, until } = start({ hidden: true, background: true });
  letSockets("held");
  await until(() => page.state === "open");
  await until(() => {
    opened[0]!.onmessage({ data: JSON.stringify([["epoch.1.1", ""]]) }); // a heartbeat
    return clock.now > 60_000;
  });
  assert.deepEqual([page.state, opened.length, opened[0]!.isClosed], ["open", 1, false]);
  opened[0]!.onclose({ code: 1006 });
  await until(() => opened.length === 2 && page.state === "open");
});

Deno.test("A page reconnects when a message cannot be parsed, because its content is lost", async () => {
  const { page, opened, letSockets, until } = start();
  letSockets("held");
  await until(() => page.state === "open");
  const log = console.error;
  const said: unknown[][] = [];
  console.error = (...parts) => said.push(parts);
  try {
    opened.at(-1)!.onmessage({ data: '[["epoch.2","<' });
  } finally {
    console.error = log;
  }
  assert.equal(page.state, "closed");
  assert.equal(said.length, 1);
  await until(() => opened.length === 2 && page.state === "open");
});
