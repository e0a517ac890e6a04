/**
 * The log of the whole program: no secret is in it, and nobody who reads it, or does not, can stop the app.
 *
 * @module
 */
import assert from "node:assert/strict";
import { connect, directory, parseFrame, PROTOCOL, sinceOf, until, within } from "./kit.ts";
import { WITH_PROCESS } from "./kit.ts";
import { eventsIn, START_FLAGS, startApp, startProcess, succeeds } from "./processes.ts";
import { ask, HANDSHAKE, request, statusOf } from "./raw.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const ARGS = ["--port=0", "--hostname=127.0.0.1"];

// ---- Secrets

/** What is sent or set, each with a secret that stands nowhere else. */
const SECRETS = {
  authorization: "hunter2-authorization",
  cookie: "hunter2-cookie",
  streamQuery: "hunter2-stream-query",
  pageQuery: "hunter2-page-query",
  referer: "hunter2-referer",
  origin: "hunter2-origin",
  host: "hunter2-host",
  target: "hunter2-target",
  since: "hunter2-since",
  header: "hunter2-header",
  body: "hunter2-body",
  redis: "hunter2-redis",
  turbo: "hunter2-turbo-secret",
};

/** Terminal escapes and line breaks, as one character a byte. */
const ESCAPES = "\x1b[31mred\x1b]0;title\x07\x9b2J";

/** Sends secrets in all places that a client has, and waits for the answers. */
async function sendSecrets({ port, url }: { port: number; url: string }): Promise<void> {
  const headers = {
    "Host": "127.0.0.1",
    "Authorization": `Bearer ${SECRETS.authorization}`,
    "Cookie": `session=${SECRETS.cookie}`,
    "Referer": `http://127.0.0.1/page?token=${SECRETS.referer}`,
    "User-Agent": `${SECRETS.header} \x9b31m`, // a control character, in one byte
  };
  const query = `?token=${SECRETS.pageQuery}&${SECRETS.pageQuery}`;
  const lines = ["/", "/page2", "/load.json", "/none", "/%0a%1b[31m/none", "/turbo-stream"]
    .map((path) => `GET ${path}${query} HTTP/1.1`);
  // Deno rejects these before the app sees them.
  await ask(port, request(lines[0]!, { ...headers, "X-Escapes": `${SECRETS.header} ${ESCAPES}` }));
  await ask(port, request(`GET /${ESCAPES}${query} HTTP/1.1`, headers));
  for (const line of lines) {
    const { status } = await ask(port, request(line, headers));
    assert([200, 404, 426].includes(status), `${line}: ${status}`);
  }
  const body = `token=${SECRETS.body}`;
  const form = { ...headers, "Content-Length": String(body.length) };
  assert.equal((await ask(port, request(`POST /${query} HTTP/1.1`, form, body))).status, 405);

  const stream = `GET /turbo-stream?since=a.1&token=${SECRETS.streamQuery} HTTP/1.1`;
  const accept = { ...headers, Accept: "text/event-stream" };
  await statusOf(port, request(stream, accept));
  const origins = [
    `http://ann:${SECRETS.origin}@evil.example`,
    `http://evil.example/?token=${SECRETS.origin}`,
    "http://evil.example",
  ];
  for (const Origin of origins) {
    assert.equal(await statusOf(port, request(stream, { ...accept, Origin })), 403, Origin);
    const upgrade = { ...headers, ...HANDSHAKE, Origin };
    assert.equal((await ask(port, request(stream, upgrade))).status, 403, Origin);
  }
  for (
    const Host of [`ann:${SECRETS.host}@127.0.0.1`, `127.0.0.1${ESCAPES}`, `a/?${SECRETS.host}`]
  ) {
    await ask(port, request(stream, { ...accept, Host }));
    await ask(port, request("GET / HTTP/1.1", { ...headers, Host }));
  }
  await ask(
    port,
    request(`GET http://ann:${SECRETS.target}@h/?${SECRETS.target} HTTP/1.1`, headers),
  );

  await using client = await connect(url, { protocol: PROTOCOL, headers: { Origin: url } });
  const { cursor } = parseFrame(await client.next())[0]!;
  client.socket.send(sinceOf({ cursor, token: SECRETS.since }));
  await client.next();
  client.socket.send(`${SECRETS.since} ${ESCAPES}`); // no `since`, so it is closed
  await within(client.closed, "the close");
}

for (const format of ["json", "text"] as const) {
  Deno.test(
    `The log of main.ts at debug, as ${format}, has each request and no secret, no escape and no other line`,
    WITH_PROCESS,
    async () => {
      const flags = [...START_FLAGS, "--allow-env=TURBO_SECRET"];
      await using app = await startApp([...ARGS, "--log-level=debug", `--log-format=${format}`], {
        flags,
        env: {
          REDIS_URL: `redis://ann:${SECRETS.redis}@127.0.0.1:1`, // nobody is there
          TURBO_SECRET: SECRETS.turbo,
        },
      });
      await sendSecrets(app);
      await until(() => app.errors.includes("/page2"), "the requests are logged");
      app.child.kill("SIGTERM");
      assert.equal(await within(app.ended, "the app to end"), 0);
      const text = app.lines.join("\n") + app.errors;
      for (const [place, secret] of Object.entries(SECRETS)) {
        assert(!text.includes(secret), `${place}: ${text}`);
      }
      // deno-lint-ignore no-control-regex
      assert.doesNotMatch(text, /[\0-\x09\x0b-\x1f\x7f-\x9f]/);
      assert.doesNotMatch(app.errors, /bearer|session=|title/i);
      assert.equal(app.lines.length, 1, "where it listens");
      const lines = app.errors.trimEnd().split("\n");
      const form = format === "json" ? /^\{"time":".*\}$/ : /^\d\d:\d\d:\d\d\.\d{3} [A-Z]{4,5} +\S/;
      for (const line of lines) assert.match(line, form);
      for (
        const words of ["GET /page2", "POST /", "Stopping", "evil.example", "127.0.0.1:1 is away"]
      ) {
        assert.equal(lines.some((line) => line.includes(words)), true, `${words}: ${app.errors}`);
      }
      if (format === "text") return;
      const { method, path, status, duration_ms } = await app.event(/^GET \/page2/);
      assert.deepEqual([method, path, status, typeof duration_ms], [
        "GET",
        "/page2",
        200,
        "number",
      ]);
      assert.equal(eventsIn(app.errors).length, lines.length);
    },
  );
}

// ---- Readers of the log

/** Sends requests whose lines in the log have more bytes than a pipe takes. */
async function fillLog(url: string): Promise<void> {
  const path = `/${"x".repeat(900)}`;
  for (let n = 0; n < 100; n++) {
    assert.equal((await within(fetch(url + path).then(read), "the answer")).status, 404);
  }
}

async function read(response: Response): Promise<Response> {
  await response.text();
  return response;
}

/** A test with files that only Linux has. */
const ON_LINUX = { ignore: WITH_PROCESS.ignore! || Deno.build.os !== "linux" };

/** Starts the app at debug, with its standard error redirected by a shell. */
function startWith(redirection: string) {
  const command = ["bash", "-c", `exec "$@" ${redirection}`, "bash"];
  return startApp([...ARGS, "--interval=0.1", "--log-level=debug"], { command });
}

Deno.test(
  "main.ts answers and ends while its log is a full pipe that nobody reads",
  ON_LINUX,
  async () => {
    using made = directory();
    const pipe = `${made.path}/pipe`;
    assert(await succeeds("mkfifo", pipe));
    await using app = await startWith(`2<>${pipe}`); // for reading too, so it opens without a reader
    await fillLog(app.url);
    await fillLog(app.url);
    await using client = await connect(app.url);
    for (let tick = 0; tick < 3; tick++) await client.next(); // it also reads files
    app.child.kill("SIGTERM");
    assert.equal(await within(app.ended, "the app to end"), 0);
  },
);

for (
  const [what, redirection] of [
    ["closed", "2>&-"],
    ["a pipe whose reader is gone", "2> >(true)"],
    ["a full disk", "2>/dev/full"],
  ] as const
) {
  Deno.test(
    `main.ts answers and ends while its standard error is ${what}`,
    ON_LINUX,
    async () => {
      await using app = await startWith(redirection);
      await fillLog(app.url);
      app.child.kill("SIGTERM");
      assert.equal(await within(app.ended, "the app to end"), 0);
    },
  );
}

Deno.test(
  "main.ts answers while its standard output is a full disk, and logs where it listens",
  ON_LINUX,
  async () => {
    const command = ["bash", "-c", 'exec "$@" >/dev/full', "bash"];
    await using app = startProcess("../main.ts", ARGS, { command, flags: START_FLAGS });
    const { message, level } = await app.event(/^Listening on /);
    assert.equal(level, "warn");
    const [url] = /http:\S+/.exec(message)!;
    assert.equal((await within(fetch(`${url}readyz`).then(read), "the answer")).status, 200);
    app.child.kill("SIGTERM");
    assert.equal(await within(app.ended, "the app to end"), 0);
  },
);

Deno.test(
  "main.ts logs an error that nobody catches as one event with its stack, and exits with 1",
  WITH_PROCESS,
  async () => {
    using made = directory();
    const preload = `${made.path}/preload.js`;
    Deno.writeTextFileSync(
      preload,
      `Deno.addSignalListener("SIGUSR1", () => Promise.reject(new TypeError("nobody\\ncatches")));
     Deno.addSignalListener("SIGUSR2", () => { throw new TypeError("nobody\\ncatches"); });`,
    );
    for (const signal of ["SIGUSR1", "SIGUSR2"] as const) {
      await using app = await startApp(ARGS, { flags: [...START_FLAGS, `--preload=${preload}`] });
      app.child.kill(signal);
      assert.equal(await within(app.ended, "the app to end"), 1);
      const [event, ...more] = app.events;
      const { level, message, error_type, stack } = event!;
      assert.deepEqual([level, message, error_type], [
        "error",
        "Uncaught error: nobody",
        "TypeError",
      ]);
      assert.match(String(stack), /preload\.js/);
      assert.deepEqual([more, app.errors.trim().split("\n").length], [[], 1]);
    }
  },
);

Deno.test("createLog() writes text on a terminal, and JSON elsewhere, to standard error", {
  ignore: WITH_PROCESS.ignore! || !await succeeds("script", "--version"),
}, async () => {
  using made = directory();
  const program = `${made.path}/program.js`;
  Deno.writeTextFileSync(
    program,
    `const { createLog } = await import(${JSON.stringify(`${ROOT}server/log.ts`)});
    const log = createLog();
    log.info("hello", { connections: 2 });
    await log.flush(60_000);`,
  );
  const command = [Deno.execPath(), "run", "--no-config", "--no-check", "--no-prompt", program];
  const terminal = new Deno.Command("script", {
    args: ["-qec", command.join(" "), "/dev/null"],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const { stdout } = await within(terminal, "the program");
  assert.match(
    new TextDecoder().decode(stdout),
    /^\d\d:\d\d:\d\d\.\d{3} INFO {2}hello connections=2\r\n$/,
  );
  const piped = new Deno.Command(command[0]!, { args: command.slice(1) }).output();
  const { stderr, stdout: nothing } = await within(piped, "the program");
  assert.equal(new TextDecoder().decode(nothing), "");
  const events = eventsIn(new TextDecoder().decode(stderr));
  assert.deepEqual(events.map(({ message }) => message), ["hello"]);
});
