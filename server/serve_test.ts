import assert from "node:assert/strict";
import { pause, until, within } from "../tests/kit.ts";
import { serve, type ServeOptions } from "./serve.ts";

type Listen = NonNullable<ServeOptions["listen"]>;

/** Options with which a test reads the log and sends signals, on a free port. */
function observed() {
  const said: string[] = [];
  const listeners = new Map<string, () => void>();
  const say = (...parts: unknown[]) => said.push(parts.join(" "));
  return {
    said,
    listeners,
    options: {
      port: 0,
      hostname: "127.0.0.1",
      log: { log: say, warn: say, error: say },
      signals: {
        addSignalListener: (signal, listener) => listeners.set(signal, listener),
        removeSignalListener: (signal) => listeners.delete(signal),
      },
    } satisfies ServeOptions as ServeOptions,
  };
}

/** A stand-in for what `Deno.serve` returns, whose end the test decides. */
function fakeServer({ hostname = "127.0.0.1", port = 8000, shutdown = () => {} } = {}) {
  const { promise: finished, resolve, reject } = Promise.withResolvers<void>();
  const server = {
    addr: { transport: "tcp", hostname, port },
    finished,
    shutdown: () => Promise.resolve(shutdown()).then(resolve),
  } as unknown as Deno.HttpServer<Deno.NetAddr>;
  return { server, fail: (reason: string) => reject(new Error(reason)) };
}

const hello = () => new Response("hello");
const never = () => new Promise<never>(() => {});

// ---- Where it listens

Deno.test("serve() listens on a free port for 0, and logs in one line which", async () => {
  const { options, said } = observed();
  await using server = serve(hello, options);
  assert.equal(await (await fetch(server.url)).text(), "hello");
  assert(server.port > 0);
  assert.equal(server.url, `http://127.0.0.1:${server.port}/`);
  assert.deepEqual(said, [`Listening on ${server.url}`]);
});

Deno.test("serve() answers 500 when a handler throws, and logs only its message", async () => {
  const { options, said } = observed();
  await using server = serve(({ url }) => {
    if (url.endsWith("/throws")) throw new TypeError("thrown\nin a handler");
    const body = new ReadableStream({ pull: () => Promise.reject(new Error("broken body")) });
    return new Response(body);
  }, options);
  const response = await fetch(`${server.url}throws`);
  assert.deepEqual([response.status, await response.text()], [500, "Internal server error\n"]);
  await assert.rejects(fetch(server.url).then((response) => response.text()));
  await until(() => said.length === 3, "both are reported");
  assert.deepEqual(said.slice(1), [
    "Cannot answer a request: thrown",
    "Cannot answer a request: broken body",
  ]);
});

const INTERFACES = [
  { name: "lo", family: "IPv4", address: "127.0.0.1" },
  { name: "eth0", family: "IPv4", address: "192.0.2.7" },
  { name: "eth0", family: "IPv6", address: "2001:db8::7" },
] as const;

for (
  const [hostname, address, more] of [
    ["0.0.0.0", "0.0.0.0", ", and in the network on http://192.0.2.7:8000/"],
    [
      "::",
      "::",
      ", and in the network on http://192.0.2.7:8000/ and http://[2001:db8::7]:8000/",
    ],
    ["::1", "::1", ""],
    ["localhost", "127.0.0.1", ""],
    ["192.0.2.7", "192.0.2.7", ""],
  ] as const
) {
  const says = more === "" ? "no more" : "how the network reaches it";
  const host = more ? "localhost" : hostname.includes(":") ? `[${hostname}]` : hostname;
  Deno.test(`serve() on ${hostname} says to open ${host}, and ${says}`, async () => {
    const { options, said } = observed();
    const listen = () => fakeServer({ hostname: address }).server;
    const networkInterfaces = () => INTERFACES;
    await using server = serve(hello, { ...options, hostname, listen, networkInterfaces });
    assert.equal(server.url, `http://${host}:8000/`);
    assert.deepEqual(said, [`Listening on ${server.url}${more}`]);
  });
}

Deno.test("serve() says that the network can reach it, where it cannot know the addresses", async () => {
  const { options, said } = observed();
  const listen = () => fakeServer({ hostname: "0.0.0.0" }).server;
  const networkInterfaces = () => {
    throw new Deno.errors.NotCapable("Requires sys access");
  };
  await using _server = serve(hello, { ...options, listen, networkInterfaces });
  assert.deepEqual(said, [
    "Listening on http://localhost:8000/ (on all addresses: the network can reach it)",
  ]);
});

Deno.test("serve() shows the path of the page in each URL", async () => {
  const { options, said } = observed();
  const listen = () => fakeServer({ hostname: "0.0.0.0" }).server;
  const networkInterfaces = () => INTERFACES;
  await using server = serve(hello, { ...options, path: "/load/", listen, networkInterfaces });
  assert.equal(server.url, "http://localhost:8000/load/");
  assert.deepEqual(said, [
    `Listening on ${server.url}, and in the network on http://192.0.2.7:8000/load/`,
  ]);
});

Deno.test("serve() sets a backlog of 4,096 connections", async () => {
  let given: Deno.ServeTcpOptions = {};
  const listen: Listen = (options) => {
    given = options;
    return fakeServer().server;
  };
  await using _server = serve(hello, { ...observed().options, listen });
  assert.equal(given.tcpBacklog, 4_096);
});

Deno.test("serve() throws an error of one line when the port is taken, and starts nothing", async () => {
  await using first = serve(hello, observed().options);
  const { options, said, listeners } = observed();
  const taken = { ...options, port: first.port, maxMemory: 1 };
  const cannot = `annot listen on 127.0.0.1:${first.port}: the port is taken; choose another`;
  assert.throws(() => serve(hello, taken), { message: `C${cannot}` });
  assert.throws(() => serve(hello, { ...taken, sources: { port: "PORT" } }), {
    message: `PORT is "${first.port}": c${cannot}`,
  });
  assert.deepEqual(said, []);
  assert.equal(listeners.size, 0);
});

for (const name of ["deadline", "maxMemory"]) {
  Deno.test(`serve() throws a RangeError that names ${name} and its value`, () => {
    const { options, listeners } = observed();
    for (const value of [-1, NaN, 2 ** 31]) {
      const message = new RegExp(`${value} as ${name}: 0 to 2147483647`);
      assert.throws(() => serve(hello, { ...options, [name]: value }), message);
    }
    assert.equal(listeners.size, 0);
  });
}

// ---- When accepting fails

Deno.test("serve() listens again on its port when accepting ends, retries until it can, and reports it once", async () => {
  const { options, said } = observed();
  const fakes = [fakeServer({ port: 4711 }), fakeServer(), fakeServer()];
  const ports: (number | undefined)[] = [];
  const listen: Listen = ({ port }) => {
    ports.push(port);
    if (ports.length === 2) throw new Error("Too many open files");
    return fakes.shift()!.server;
  };
  const [first, second] = fakes;
  await using _server = serve(hello, { ...options, listen });
  first!.fail("Too many open files\n    at accept");
  await until(() => ports.length === 3, "it listens again");
  second!.fail("Too many open files");
  await until(() => ports.length === 4, "it listens for the third time");
  assert.deepEqual(ports, [0, 4711, 4711, 4711]);
  assert.deepEqual(said.slice(1), [
    "Cannot accept connections, trying again: Too many open files",
  ]);
});

Deno.test("serve() answers again after accepting has ended", async () => {
  const servers: Deno.HttpServer<Deno.NetAddr>[] = [];
  const listen: Listen = (options, handler) => {
    const server = Deno.serve(options, handler);
    if (servers.push(server) > 1) return server;
    const finished = server.finished.then(() => Promise.reject(new Error("Too many open files")));
    return { ...server, finished };
  };
  await using server = serve(hello, { ...observed().options, listen });
  await servers[0]!.shutdown();
  await until(() => servers.length === 2, "it listens again");
  assert.equal(await (await fetch(server.url)).text(), "hello");
});

Deno.test("serve() does not listen again once it has stopped", async () => {
  const { server: first, fail } = fakeServer();
  let listened = 0;
  const listen = () => {
    listened++;
    return first;
  };
  const server = serve(hello, { ...observed().options, listen });
  fail("Too many open files");
  await within(server.stop(), "it to stop");
  assert.equal(listened, 1);
});

// ---- How it stops

for (const signal of ["SIGINT", "SIGTERM"]) {
  Deno.test(`serve() drains on ${signal}, then shuts down, then finishes with 0`, async () => {
    const { options, listeners } = observed();
    const events: string[] = [];
    const shutdown = () => void events.push("shut down");
    const server = serve(hello, {
      ...options,
      listen: () => fakeServer({ shutdown }).server,
      deadline: 5_000,
      async drain(milliseconds) {
        events.push(`drain in ${milliseconds} ms`);
        await Promise.resolve();
        events.push("drained");
      },
    });
    assert.deepEqual([...listeners.keys()], ["SIGINT", "SIGTERM"]);
    listeners.get(signal)!();
    assert.equal(await within(server.finished, "it to finish"), 0);
    assert.deepEqual(events, ["drain in 4500 ms", "drained", "shut down"]);
    assert.equal(listeners.size, 0, "it listens to no more signals");
  });
}

Deno.test("serve() answers requests while it drains, and none afterwards", async () => {
  const { options } = observed();
  const { promise: drained, resolve } = Promise.withResolvers<void>();
  const server = serve(hello, { ...options, drain: () => drained });
  server.stop();
  assert.equal(await (await fetch(server.url)).text(), "hello");
  resolve();
  await within(server.finished, "it to finish");
  await assert.rejects(fetch(server.url), TypeError);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  Deno.test(`serve() finishes at once on ${signal} when it is stopping, with the code of that`, async () => {
    const { options, listeners } = observed();
    const drained = Promise.withResolvers<void>();
    const shutdown = Promise.withResolvers<void>();
    const server = serve(hello, {
      ...options,
      listen: () => fakeServer({ shutdown: shutdown.resolve }).server,
      deadline: 3_600_000,
      drain: () => drained.promise,
    });
    server.stop({ code: 7 });
    listeners.get(signal)!();
    assert.equal(await within(server.finished, "it to finish"), 7);
    drained.resolve();
    await shutdown.promise; // the shutdown continues if the process does
  });
}

Deno.test("serve() asks for no further request on a connection while it stops", async () => {
  const { options } = observed();
  const draining = Promise.withResolvers<void>();
  const server = serve((request) => {
    if (request.url.endsWith("/fails")) throw new Error("broken");
    return Response.json({ answered: true }, { status: 201, headers: { "X-Own": "kept" } });
  }, { ...options, drain: () => draining.promise });
  const before = await fetch(server.url);
  assert.equal(before.headers.get("Connection"), null);
  await before.body?.cancel();
  const stopped = server.stop();
  const answer = await fetch(server.url);
  const { status, headers } = answer;
  assert.deepEqual([status, headers.get("X-Own"), headers.get("Connection")], [
    201,
    "kept",
    "close",
  ]);
  assert.deepEqual(await answer.json(), { answered: true });
  const failed = await fetch(`${server.url}fails`);
  assert.deepEqual([failed.status, await failed.text()], [500, "Internal server error\n"]);
  draining.resolve();
  assert.equal(await within(stopped, "the end"), 0);
});

Deno.test("serve() still answers a moment after the drain, where there was a request before", async () => {
  for (const isAsked of [true, false]) {
    const { options } = observed();
    const events: string[] = [];
    let ask!: () => Promise<void>;
    const listen: Listen = (_, handler) => {
      ask = async () => {
        const completed = Promise.resolve();
        await handler(
          new Request("http://localhost"),
          { completed } as Deno.ServeHandlerInfo<never>,
        );
      };
      return fakeServer({ shutdown: () => void events.push("shut down") }).server;
    };
    const drain = () => Promise.resolve(void setTimeout(() => events.push("a moment later"), 20));
    const server = serve(hello, { ...options, listen, drain });
    if (isAsked) await ask();
    await within(server.stop(), "the end");
    assert.deepEqual(events, isAsked ? ["a moment later", "shut down"] : ["shut down"]);
    await until(() => events.includes("a moment later"), "the timer has ended");
  }
});

Deno.test("serve() counts two signals of one key press as one, and the next as the second", async () => {
  const { options, listeners } = observed();
  const draining = Promise.withResolvers<void>();
  const drained = Promise.withResolvers<void>();
  const shutdown = Promise.withResolvers<void>();
  const server = serve(hello, {
    ...options,
    listen: () => fakeServer({ shutdown: shutdown.resolve }).server,
    deadline: 3_600_000,
    drain() {
      draining.resolve();
      return drained.promise;
    },
  });
  const interrupt = listeners.get("SIGINT")!;
  interrupt();
  interrupt();
  await within(draining.promise, "it to drain");
  const first = await Promise.race([server.finished, pause(0).then(() => "still draining")]);
  assert.equal(first, "still draining");
  interrupt();
  assert.equal(await within(server.finished, "it to finish"), 0);
  drained.resolve();
  await shutdown.promise;
});

Deno.test("serve() listens to the signals that the system has, as Windows once had no SIGTERM", async () => {
  const { options, listeners } = observed();
  const { addSignalListener } = options.signals!;
  const signals = {
    ...options.signals!,
    addSignalListener(signal: Deno.Signal, listener: () => void) {
      if (signal === "SIGTERM") throw new TypeError("Windows only supports ctrl-c (SIGINT)");
      addSignalListener(signal, listener);
    },
    removeSignalListener(signal: Deno.Signal) {
      assert(listeners.delete(signal), `${signal} has no listener`);
    },
  };
  await using server = serve(hello, { ...options, signals });
  assert.deepEqual([...listeners.keys()], ["SIGINT"]);
  listeners.get("SIGINT")!();
  assert.equal(await within(server.finished, "the end"), 0);
  assert.equal(listeners.size, 0);
});

Deno.test("serve() throws where it may not listen to signals", () => {
  const { options } = observed();
  const addSignalListener = () => {
    throw new Deno.errors.NotCapable("not allowed");
  };
  const listen = () => fakeServer().server;
  const signals = { ...options.signals!, addSignalListener };
  assert.throws(() => serve(hello, { ...options, listen, signals }), Deno.errors.NotCapable);
});

Deno.test("Server.stop() has no effect while it is stopping", async () => {
  const { options } = observed();
  let drains = 0;
  const drain = () => Promise.resolve(void drains++);
  const server = serve(hello, { ...options, drain });
  assert.deepEqual(await Promise.all([server.stop({ code: 1 }), server.stop({ code: 2 })]), [1, 1]);
  assert.equal(drains, 1);
});

Deno.test("Server.stop() continues when the drain fails, and reports that once", async () => {
  const { options, said } = observed();
  const drain = () => Promise.reject(new Error("broken"));
  const server = serve(hello, { ...options, drain });
  assert.equal(await within(server.stop(), "it to stop"), 0);
  assert.deepEqual(said.slice(1), ["Cannot drain: broken"]);
});

Deno.test("Server.stop() ends within the deadline though the drain and a connection are stuck", async () => {
  const { options } = observed();
  const server = serve(hello, {
    ...options,
    listen: () => fakeServer({ shutdown: never }).server,
    drain: never,
  });
  const events: string[] = [];
  // Both timers are of one process, so a busy machine delays both. If drain and shutdown had a deadline
  // of their own each, the end would be at 1,200 ms.
  const timer = setTimeout(() => events.push("late"), 1_100);
  const stopped = server.stop({ deadline: 600 }).then(() => events.push("stopped"));
  await within(stopped, "it to stop", 30_000);
  clearTimeout(timer);
  assert.deepEqual(events, ["stopped"]);
});

Deno.test({
  name: "Server.stop() ends though a real connection is stuck",
  sanitizeResources: false, // of that connection
  async fn() {
    const { options } = observed();
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<Response>();
    const server = serve(() => {
      asked.resolve();
      return answer.promise;
    }, options);
    const request = fetch(server.url).catch(() => {});
    await within(asked.promise, "the request");
    assert.equal(await within(server.stop({ deadline: 200 }), "it to stop"), 0);
    answer.resolve(new Response());
    await request;
  },
});

// ---- Memory

Deno.test("serve() stops with code 3 within 2 s when the memory is above maxMemory, and reports it once", async () => {
  const { options, said } = observed();
  const MIB = 1024 ** 2;
  const readings = [100 * MIB, 100.4 * MIB, 101 * MIB];
  let given = 0;
  const server = serve(hello, {
    ...options,
    deadline: 60_000,
    maxMemory: 100,
    memory: () => readings.shift() ?? 200 * MIB,
    async drain(milliseconds) {
      given = milliseconds;
      await pause(600); // past the next reading
    },
  });
  assert.equal(await within(server.finished, "it to finish"), 3);
  assert.deepEqual(readings, []);
  assert.deepEqual(said.slice(1), ["Memory is at 101 MiB of 100: ending"]);
  assert.equal(given, 1_800);
});

Deno.test("serve() does not read the memory without maxMemory", async () => {
  const memory = () => assert.fail("it looks");
  await using _server = serve(hello, { ...observed().options, memory });
  await pause(600);
});

Deno.test("serve() continues when the memory cannot be read, reports it once, and reads it again", async () => {
  const { options, said } = observed();
  let readings = 0;
  const server = serve(hello, {
    ...options,
    maxMemory: 100,
    memory() {
      if (++readings > 2) return 101 * 1024 ** 2;
      throw new Error("no such file\n    at read");
    },
  });
  assert.equal(await within(server.finished, "it to finish"), 3);
  assert.deepEqual(said.slice(1), [
    "Cannot read the memory: no such file",
    "Memory is at 101 MiB of 100: ending",
  ]);
});

Deno.test("serve() stops with code 3 when it can accept nothing for acceptTimeout, and reports it", async () => {
  const { options, said } = observed();
  let count = 0;
  const full = (): never => {
    throw new Error("Too many open files");
  };
  const { server, fail } = fakeServer();
  const listen: Listen = () => count++ === 0 ? server : full();
  const { finished } = serve(hello, { ...options, listen, acceptTimeout: 500 });
  fail("Too many open files");
  assert.equal(await within(finished, "the end"), 3);
  assert.deepEqual(said.slice(1), [
    "Cannot accept connections, trying again: Too many open files",
    "No connection could be accepted for 0.5 s: ending",
  ]);
});

Deno.test("serve() stops with code 3 when the memory is 0 for acceptTimeout: no descriptor is left", async () => {
  const { options, said } = observed();
  const server = serve(hello, { ...options, maxMemory: 1, memory: () => 0, acceptTimeout: 100 });
  assert.equal(await within(server.finished, "the end"), 3);
  assert.deepEqual(said.slice(1), [
    "Cannot read the memory: no file descriptor is left",
    "The memory could not be read for 0.1 s: ending",
  ]);
});

Deno.test("serve() ends when no request is in progress, though a connection of Deno's never ends", async () => {
  const { options } = observed();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  let handle!: Deno.ServeHandler<Deno.NetAddr>;
  const listen: Listen = (_, handler) => {
    handle = handler;
    return fakeServer({ shutdown: () => never() as never }).server;
  };
  const server = serve(async () => {
    await released;
    return new Response("late");
  }, { ...options, listen, deadline: 60_000 });
  const work = Promise.withResolvers<void>();
  const info = { completed: work.promise } as Deno.ServeHandlerInfo<Deno.NetAddr>;
  const answer = handle(new Request("http://localhost/"), info);
  let hasFinished = false;
  server.stop().then(() => hasFinished = true);
  await pause(500);
  assert(!hasFinished, "a request is at work");
  release();
  assert.equal(await (await answer).text(), "late");
  work.resolve();
  assert.equal(await within(server.finished, "the end"), 0);
});
