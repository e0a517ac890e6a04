/**
 * For each mistake of an app on the server there is a message that names the remedy. Mistakes that only the
 * page can detect are in `hints_test.ts`.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { setCookie } from "hono/cookie";
import assert from "node:assert/strict";
import { acceptsStream, connectionId, isAllowedHost, isOwnOrigin } from "../turbo/mod.ts";
import { append, html, isSecure, replace, requestedFrame } from "../turbo/mod.ts";
import { streamResponse, Turbo } from "../turbo/mod.ts";
import { WITH_PROCESS } from "./kit.ts";

const box = html`<p id="box"></p>`;
const late = (): Promise<string> => Promise.resolve("data");

/** The message of the error that an app's handler of errors receives for a request. */
async function errorOf(answer: (c: Context, turbo: Turbo) => Response | Promise<Response>) {
  const turbo = new Turbo();
  const app = new Hono();
  app.onError((error, c) => c.text(error.message, 500));
  app.use(turbo.middleware());
  app.get("/", (c) => answer(c, turbo));
  return await (await app.request("/")).text();
}

const MISTAKES: [what: string, act: () => unknown, message: RegExp][] = [
  [
    "an id with #",
    () => replace("#box", box),
    /an element id without # or \{ all: "css selector" \}/,
  ],
  [
    "target and content swapped",
    () => replace(box as never, "box" as never),
    /for target the markup "<p id=\\"box\\"><\/p>": an element id without #/,
  ],
  [
    "markup pushed without a builder",
    () => new Turbo().push(box as never),
    /Cannot push the markup .* from a builder such as replace\(\), or a list of them, is needed/,
  ],
  [
    "an await forgotten in html",
    () => html`<p>${late()}</p>`,
    /Cannot make markup of a promise: await it before it goes into html`…`/,
  ],
  [
    "an await forgotten in content",
    () => append("list", late() as never),
    /Cannot build a stream from a promise: await the content first/,
  ],
  [
    "an await forgotten in a push",
    () => new Turbo().push(late().then(() => replace("box", box)) as never),
    /Cannot push a promise: await it first/,
  ],
  [
    "a partial that is not called",
    () => html`<p>${late}</p>`,
    /Cannot make markup of the function "late": call it/,
  ],
  [
    "a middleware that is not called",
    () => {
      const { middleware } = new Turbo();
      middleware();
    },
    /Cannot use turbo\.middleware without a call: write app\.use\(turbo\.middleware\(\)\)/,
  ],
  [
    "an attribute without quotes",
    () => html`<a title=${"a b"}></a>`,
    /Cannot make markup of title=\$\{…\} without quotes: write title="\$\{…\}"/,
  ],
  [
    "a misspelt option",
    () => new Turbo({ alowedOrigins: [] } as never),
    /Turbo has no option "alowedOrigins": there are .*allowedOrigins/,
  ],
  [
    "a misspelt option of push",
    () => new Turbo().push(replace("box", box), { too: "ann" } as never),
    /push\(\) has no option "too": there are to, topic, except/,
  ],
  [
    "a reader who is undefined",
    () => new Turbo().push(replace("box", box), { to: undefined } as never),
    /Cannot take undefined as "to" of push\(\): a name of 1 to 255 characters is needed/,
  ],
  [
    "an option for append",
    () => (append as (...all: unknown[]) => unknown)("list", box, { morph: true }),
    /options are for replace\(\), update\(\) and refresh\(\)/,
  ],
];

for (const [what, act, message] of MISTAKES) {
  Deno.test(`${what} has a message that names the remedy`, () => {
    assert.throws(act, { message });
  });
}

Deno.test("the middleware after the routes has a message that names the remedy", async () => {
  const turbo = new Turbo();
  const app = new Hono();
  app.onError((error, c) => c.text(error.message, 500));
  app.get("/", (c) => c.html(turbo.head(c)));
  app.use(turbo.middleware());
  assert.match(
    await (await app.request("/")).text(),
    /turbo\.middleware\(\) did not run for it; register app\.use\(turbo\.middleware\(\)\) before the routes/,
  );
});

Deno.test("a head without its context has a message that names the remedy, once", () => {
  const notices: string[] = [];
  const turbo = new Turbo({ onNotice: (notice) => notices.push(notice) });
  turbo.head();
  turbo.middleware();
  turbo.head({ cursor: turbo.cursor });
  assert.deepEqual(notices, [], "without Hono, and with a cursor");
  turbo.head();
  turbo.head();
  assert.deepEqual(notices, [
    "turbo.head() was called without the context, so the page has the newest cursor and not that of " +
    "its request: write turbo.head(c)",
  ]);
});

Deno.test("a promise in the page that is not awaited has a message that names the remedy", async () => {
  const message = await errorOf((c) => c.html(html`<p>${late()}</p>`));
  assert.match(message, /await it before it goes into html/);
});

Deno.test("a context instead of its request has a message that names the remedy", async () => {
  const reads: [name: string, read: (request: never) => unknown][] = [
    ["acceptsStream", acceptsStream],
    ["requestedFrame", requestedFrame],
    ["connectionId", connectionId],
    ["isSecure", isSecure],
    ["isOwnOrigin", (request) => isOwnOrigin(request, "http://localhost")],
    ["isAllowedHost", (request) => isAllowedHost(request, ["localhost"])],
  ];
  for (const [name, read] of reads) {
    for (const given of [(c: Context) => c, (c: Context) => c.req]) {
      const message = await errorOf((c) => c.text(String(read(given(c) as never))));
      assert.equal(
        message,
        `Cannot read the request that ${name}() was given: a Request, such as c.req.raw, is needed`,
      );
    }
  }
});

Deno.test("a cookie that is set before an answer of streams reaches the reader", async () => {
  const turbo = new Turbo();
  const app = new Hono();
  app.use(turbo.middleware());
  app.post("/", (c) => {
    setCookie(c, "hint", "seen");
    return streamResponse(replace("box", box));
  });
  const headers = { Accept: "text/vnd.turbo-stream.html, text/html" };
  const response = await app.request("/", { method: "POST", headers });
  assert.deepEqual(response.headers.getSetCookie(), ["hint=seen; Path=/"]);
});

Deno.test(
  "a missing permission has a message that names the flag",
  WITH_PROCESS,
  async () => {
    const example = new URL("../examples/todos.ts", import.meta.url).pathname;
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", example],
      env: { NO_COLOR: "1" },
    }).output();
    assert.equal(code, 1);
    assert.match(new TextDecoder().decode(stderr), /Cannot listen on .*--allow-net/);
  },
);
