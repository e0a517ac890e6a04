// What the app tells those who watch it: an OpenTelemetry collector, Prometheus, and whoever asks for its
// health.

import assert from "node:assert/strict";
import { connect, PROTOCOL, QUICK, sinceOf, until, WITH_PROCESS } from "./kit.ts";
import { collect, type Metric, type Point, type Span } from "./otlp.ts";
import { parsePrometheus } from "./prometheus.ts";
import { START_FLAGS, startServer, type TestServerProcess } from "./processes.ts";
import { denoCache, HAS_RUNTIMES, pathOf } from "./runtimes.ts";

/** Starts the app under its permissions, with telemetry where there is an environment for it. */
function startWatched(env: Readonly<Record<string, string>> = {}): Promise<TestServerProcess> {
  return startServer("apps/watched_app.ts", [], { env, flags: START_FLAGS });
}

async function room(
  { url }: { url: string },
  headers: HeadersInit = {},
): Promise<{ cursor: string; token: string }> {
  const page = await (await fetch(`${url}/room`, { headers })).text();
  const [, cursor, token] = /content="([^"]+)" data-stream="[^"]+" data-token="([^"]+)"/.exec(
    page,
  )!;
  return { cursor: cursor!, token: token! };
}

/** A reader of the event stream, with what it has received. */
async function readEvents(url: string, headers: HeadersInit = {}) {
  const accept = { Accept: "text/event-stream", ...headers };
  const response = await fetch(url, { headers: accept });
  assert.equal(response.status, 200);
  const reader = response.body!.getReader();
  const received = { text: "", end: () => reader.cancel() };
  const decoder = new TextDecoder();
  (async () => {
    for (let chunk; !(chunk = await reader.read()).done;) {
      received.text += decoder.decode(chunk.value, { stream: true });
    }
  })();
  return received;
}

const attributesOf = (span: Span) => new Map(span.attributes);

for (const version of ["the pinned version", "deno-2.5", "deno-2.7"] as const) {
  const isOld = version !== "the pinned version";
  Deno.test({
    name:
      "The spans, metrics and logs of a page with topics hold no token, cookie or credential, on " +
      version,
    ignore: QUICK || (isOld && !HAS_RUNTIMES),
    async fn() {
      await using collector = collect();
      using cache = await denoCache();
      await using app = isOld
        ? await startServer("apps/watched_app.ts", [], {
          runtime: [await pathOf(version), "run", "-A", "--no-lock"],
          env: { ...collector.env, ...cache.env },
        })
        : await startWatched(collector.env);
      const headers = {
        Cookie: "session=a-secret-cookie",
        Authorization: "Bearer a-secret-bearer",
      };
      const { cursor, token } = await room(app, headers);
      for (const query of [`page=p1&token=${token}`, `page=p2&%74oken=${token}`]) {
        const events = await readEvents(
          `${app.url}/turbo-stream?since=${cursor}&${query}`,
          headers,
        );
        await events.end();
      }
      {
        const path = "/turbo-stream?page=p3";
        await using client = await connect(app.url, { path, protocol: PROTOCOL, headers });
        client.socket.send(sinceOf({ cursor, token, page: "p3" }));
        await client.next();
      }
      for (
        const [id, status, query] of [
          ["p1", "200", `since=${cursor}&page=p1&token=REDACTED`],
          ["p2", "200", `since=${cursor}&page=p2&%74oken=REDACTED`],
          ["p3", "101", "page=p3"],
        ] as const
      ) {
        const span = attributesOf(
          await collector.span((span) => String(attributesOf(span).get("url.query")).includes(id)),
        );
        assert.equal(span.get("url.query"), query);
        assert.equal(span.get("url.full"), `${app.url}/turbo-stream?${query}`);
        assert.equal(span.get("http.response.status_code"), status);
      }
      await collector.log(({ body }) => body.startsWith("Listening on"));
      await collector.metric("http.server.request.duration");
      for (const secret of [token, token.slice(0, 24), "a-secret-cookie", "a-secret-bearer"]) {
        assert(!collector.text.includes(secret), `${secret} in ${collector.text}`);
      }
    },
  });
}

Deno.test({
  name: "Spans and HTTP metrics have the routes of the app as names, and no other paths",
  ...WITH_PROCESS,
  async fn() {
    await using collector = collect();
    await using app = await startWatched(collector.env);
    const requests = ["/page2?a=b", "/assets/none.js", "/turbo-stream", "/metrics", "/a/1"];
    for (const path of requests) await (await fetch(app.url + path)).body?.cancel();
    const expected = {
      "/page2": "GET /page2 /page2",
      "/assets/none.js": "GET /assets/* /assets/*",
      "/turbo-stream": "GET /turbo-stream /turbo-stream",
      "/metrics": "GET /metrics /metrics",
      "/a/1": "GET undefined",
    };
    for (const [path, name] of Object.entries(expected)) {
      const span = await collector.span((span) => attributesOf(span).get("url.path") === path);
      assert.equal(`${span.name} ${attributesOf(span).get("http.route")}`, name, path);
    }
    const hasRoute = ({ points }: Metric) =>
      points.some(({ attributes }) => attributes["http.route"] === "/page2");
    await collector.metric("http.server.request.duration", hasRoute);
  },
});

/** The values of a metric by those of its attributes; a histogram's are how many values it has. */
function valuesOf({ points }: Metric): Record<string, number> {
  const keyOf = ({ attributes }: Point) => Object.values(attributes).join(" ");
  return Object.fromEntries(points.map((point) => [keyOf(point), point.value ?? point.count!]));
}

/** The name that the metric has for Prometheus. */
function seriesOf({ name, unit, kind }: Metric): string {
  const suffix = { s: "_seconds", By: "_bytes" }[unit] ?? "";
  return name.replaceAll(".", "_") + suffix + (kind === "counter" ? "_total" : "");
}

Deno.test({
  name:
    "Three connects, two pushes, a drop and a gap give exactly these values at a collector, to " +
    "Prometheus and in /readyz",
  ...WITH_PROCESS,
  async fn() {
    await using collector = collect();
    await using app = await startWatched(collector.env);
    const { cursor } = await room(app);
    await (await fetch(app.url)).body!.cancel(); // takes a reading
    const path = (page: string, since: string) => `/turbo-stream?since=${since}&page=${page}`;

    await using bad = await connect(app.url, { path: path("a", cursor), protocol: PROTOCOL });
    const events = await readEvents(app.url + path("b", cursor));
    await until(() => events.text.includes(cursor), "the event stream is open");
    for (const line of ["one", "two"]) {
      await app.tell(line);
      const has = (text: string) => text.includes(`<li>${line}</li>`);
      await until(() => bad.messages.some(has) && has(events.text), `all have ${line}`);
    }
    await using lost = await connect(app.url, { path: path("c", "foreign.5"), protocol: PROTOCOL });
    await until(
      () => lost.messages.some((text) => text.includes('action=\\"refresh')),
      "a refresh",
    );
    bad.socket.send(new Uint8Array(1));
    await bad.closed;
    await events.end();
    const rejected = await fetch(`${app.url}/turbo-stream`);
    assert.equal(rejected.status, 426);
    await rejected.body!.cancel();

    await collector.metric(
      "turbo.server.connection.duration",
      (metric) => metric.points.length === 2,
    );
    await collector.metric(
      "turbo.server.closing_connections",
      (metric) => metric.points[0]!.value === 0,
    );
    await collector.exported();
    // A span for each request, and none for a push or a message.
    await collector.span((span) => attributesOf(span).get("http.response.status_code") === "426");
    assert.deepEqual(
      collector.spans.map(({ name }) => name).sort(),
      ["GET /", "GET /room", ...Array(4).fill("GET /turbo-stream")],
    );
    const frames = [...bad.messages, ...lost.messages];
    const log = events.text.match(/(?<=^data: ).*/gm)!.join("");
    const sizeOf = (texts: readonly string[]) => new TextEncoder().encode(texts.join("")).length;
    const expected: Record<string, Record<string, number>> = {
      "turbo.server.active_connections": { websocket: 1, sse: 0 },
      "turbo.server.closing_connections": { "": 0 },
      "turbo.server.connection.duration": { "binary websocket": 1, "left sse": 1 },
      "turbo.server.rejected_connections": { 426: 1 },
      "turbo.server.drops": {
        binary: 1,
        does_not_read: 0,
        failed: 0,
        not_since: 0,
        too_long: 0,
        too_many: 0,
        too_slow: 0,
      },
      "turbo.server.resumes": { nothing: 2, replay: 0, refresh: 1 },
      "turbo.server.pushes": { "": 2 },
      "turbo.server.messages": { "": frames.length + events.text.split("\n\n").length - 1 },
      "turbo.server.sent": { "": sizeOf([...frames, events.text]) },
      "turbo.server.behind_connections": { "": 0 },
      "turbo.server.buffered": { "": 0 },
      "turbo.server.log.entries": { "": 2 },
      "turbo.server.log.size": { "": sizeOf([log]) },
      "turbo.server.engine.connected": { "": 1 },
      "turbo.server.engine.lag": { "": 0 },
      "turbo.server.staleness.pages": { "": 0 },
      "turbo.server.staleness.p50": { "": 0 },
      "turbo.server.staleness.p99": { "": 0 },
    };
    // How many values they have depends on the time. The second is measured once a second.
    const timed = ["turbo.server.tick.duration", "turbo.server.event_loop.delay"];

    const own = [...collector.metrics.values()].filter(({ scope }) => scope.includes("turbo"));
    const received = new Map(own.map((metric) => [metric.name, metric]));
    for (const [name, values] of Object.entries(expected)) {
      assert.deepEqual(valuesOf(received.get(name)!), values, name);
    }
    const load = [1, 5, 15].map((minutes) => `system.cpu.load_average.${minutes}m`);
    const others = ["load.cpus", "load.reading.age", "load.readings", ...load, ...timed];
    const unexpected = [...received.keys()].filter((name) =>
      !(name in expected) && !others.includes(name)
    );
    assert.deepEqual(unexpected, []);
    for (const name of others) assert(received.has(name) || name === timed[1], name);

    const text = await (await fetch(`${app.url}/metrics`)).text();
    const families = parsePrometheus(text);
    for (const [name, values] of Object.entries(expected)) {
      const { samples } = families.get(seriesOf(received.get(name)!))!;
      const counted = [...samples].filter(([series]) => !/_(bucket|sum)\b/.test(series));
      const labels = (series: string) => (series.match(/(?<==")[^"]+/g) ?? []);
      const found = counted.map(([series, value]) => [labels(series).sort().join(" "), value]);
      assert.deepEqual(Object.fromEntries(found), values, `${name} in ${text}`);
    }
    const ready = await (await fetch(`${app.url}/readyz`)).json();
    assert.deepEqual(Object.keys(ready), ["status", "connections", "zombies", "counts"]);
    for (const [name, values] of Object.entries(expected)) {
      const key = name.replace("turbo.server.", "");
      if (name === "turbo.server.connection.duration") assert(!(key in ready.counts));
      else assert.deepEqual(ready.counts[key], values[""] ?? values, name);
    }
  },
});

Deno.test({
  name: "Without OTEL_DENO nothing is told to a collector, and /metrics is there all the same",
  ...WITH_PROCESS,
  async fn() {
    await using collector = collect();
    await using app = await startWatched({ ...collector.env, OTEL_DENO: "false" });
    const response = await fetch(`${app.url}/metrics`);
    assert.equal(response.headers.get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    assert.equal(response.headers.get("Cache-Control"), "no-store");
    assert(parsePrometheus(await response.text()).has("turbo_server_pushes_total"));
    app.child.kill("SIGTERM"); // telemetry is exported at the latest at the end
    await app.ended;
    assert.equal(collector.exports, 0);
  },
});
