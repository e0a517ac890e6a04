import { Hono } from "hono";
import assert from "node:assert/strict";
import { DEADLINE } from "../tests/kit.ts";
import {
  acceptsStream,
  after,
  append,
  before,
  connectionId,
  html,
  type Markup,
  prepend,
  refresh,
  remove,
  replace,
  type Stream,
  streamResponse,
  Turbo,
  type TurboOptions,
  update,
} from "./mod.ts";
import { openPage, type OpenPageOptions } from "./testing.ts";

/** An app whose page has a list and whatever else a test gives. */
function listApp(
  { content = () => html``, topics = [], ...options }:
    & TurboOptions
    & { content?: () => Markup; topics?: string[] } = {},
) {
  const turbo = new Turbo(options);
  const lines: string[] = [];
  const app = new Hono();
  let reader: string | undefined;
  app.use(turbo.middleware({ as: () => reader }));
  const page = (extra: Markup = content()) => {
    const cursor = turbo.cursor;
    return html`
      <!DOCTYPE html>
      <html>
        <head><title>Lines</title>${turbo.head({ cursor, topics })}</head>
        <body><h1>Lines</h1><ul id="list">${lines.map((line) => html`<li>${line}</li>`)}</ul>
          ${extra}</body>
      </html>
    `;
  };
  app.get("/", (c) => c.html(page()));
  return {
    app,
    turbo,
    lines,
    page,
    connectAs: (as: string) => void (reader = as),
    open: (path = "/", options: OpenPageOptions = {}) =>
      openPage(app, path, { deadline: DEADLINE, ...options }),
  };
}

Deno.test("openPage() shows a page and what is pushed into it", async () => {
  const { turbo, lines, open } = listApp();
  lines.push("bread");
  await using page = await open();
  assert.equal(page.state, "open");
  assert.deepEqual([page.path, page.status, turbo.size], ["/", 200, 1]);
  assert.equal(page.text(), "Lines bread");
  turbo.push(append("list", html`<li>milk &amp; honey</li>`));
  await page.shows("milk & honey");
  assert.equal(page.text("#list"), "bread milk & honey");
  assert.equal(page.html("#list li:last-child"), "<li>milk &amp; honey</li>");
  assert.equal(page.count("#list li"), 2);
});

Deno.test("openPage() closes its connection at the end", async () => {
  const { turbo, open } = listApp();
  {
    await using page = await open();
    assert.equal(turbo.size, 1);
    await page.close();
    assert.equal(page.state, "closed");
  }
  assert.equal(turbo.size, 0);
});

const LIST = '<ul id="list"><li id="a">a</li><li id="b">b</li></ul>';
const ACTIONS: [name: string, streams: Stream[], expected: string][] = [
  ["append", [append("list", html`<li>c</li>`)], "a b c"],
  ["append, and takes out what has the same id", [append("list", html`<li id="a">A</li>`)], "b A"],
  ["prepend", [prepend(
    "list",
    html`
      <li>c</li>
      <li id="b">B</li>
    `,
  )], "c B a"],
  ["before", [before("b", html`<li>c</li>`)], "a c b"],
  ["after", [after("a", html`<li>c</li>`)], "a c b"],
  ["after the last", [after("b", html`<li>c</li>`)], "a b c"],
  [
    "before, and takes out a sibling with the same id",
    [before("b", html`<li id="a">A</li>`)],
    "A b",
  ],
  ["replace", [replace(
    "a",
    html`
      <li id="a">A</li>
      <li>c</li>
    `,
  )], "A c b"],
  ["update", [update("list", "none")], "none"],
  ["remove", [remove("a")], "b"],
  ["targets", [append({ all: "#list li" }, html`<b>!</b>`)], "a! b!"],
  ["remove of targets", [remove({ all: "li:not(#a)" })], "a"],
  ["several in a row", [remove("a"), append("list", html`<li id="a">A</li>`), remove("b")], "A"],
  ["a table's row", [update(
    "list",
    html`
      <table>
        <tr>
          <td>x</td>
          <td>y</td>
        </tr>
      </table>
    `,
  )], "x y"],
  [
    "nothing where there is no target",
    [append("none", "x"), update({ all: "p > :(" }, "x")],
    "a b",
  ],
];

for (const [name, streams, expected] of ACTIONS) {
  Deno.test(`openPage() renders ${name}`, async () => {
    const { turbo, app } = listApp({ content: () => html`` });
    app.get("/list", (c) => c.html(`<head>${turbo.head()}</head>${LIST}<p id="end"></p>`));
    await using page = await openPage(app, "/list", { deadline: DEADLINE });
    turbo.push([...streams, update("end", "end")]);
    await page.shows("end");
    assert.equal(page.text("#list"), expected);
  });
}

Deno.test("openPage() renders a stream that stands in what was pushed, or in the page", async () => {
  const { turbo, open } = listApp({ content: () => html`<p id="p"></p>${embedded("page")}` });
  await using page = await open();
  assert.equal(page.text("#p"), "page");
  turbo.push(update("list", embedded("pushed")));
  await page.shows("pushed", { in: "#p" });
  assert.equal(page.count("turbo-stream"), 0);

  function embedded(text: string): Markup {
    return html`
      <turbo-stream action="update" target="p">
        <template>${text}</template>
      </turbo-stream>
    `;
  }
});

Deno.test("page.text() has what a reader sees", async () => {
  const { app } = listApp();
  app.get(
    "/text",
    (c) =>
      c.html(
        `<title>T</title><style>p{}</style><p>a<b>b</b> <br>c</p><p hidden>no</p><template>no</template>
      <script>no</script><noscript>no</noscript><dialog>no</dialog><dialog open>yes</dialog>
      <details><summary>s</summary>no</details><textarea>no</textarea><table><td>1<td>2</table>`,
      ),
  );
  await using page = await openPage(app, "/text");
  assert.equal(page.text(), "ab c yes s 1 2");
  assert.equal(page.text("title"), "T");
  assert.equal(page.state, "static");
});

Deno.test("openPage() is given nothing twice, and what it missed", async () => {
  const { turbo, lines, app, page: markup } = listApp();
  app.get("/slow", async (c) => {
    const page = await markup();
    turbo.push(append("list", html`<li>missed</li>`)); // rendered, and not yet connected
    return c.html(page);
  });
  lines.push("there");
  turbo.push(append("list", html`<li>there</li>`));
  await using page = await openPage(app, "/slow", { deadline: DEADLINE });
  await page.shows("missed");
  assert.equal(page.text("#list"), "there missed");
});

Deno.test("openPage() fetches the page again for a refresh and for a gap", async () => {
  const { turbo, lines, open } = listApp({ log: { maxEntries: 2 } });
  await using page = await open();
  lines.push("first");
  turbo.push(refresh());
  await page.shows("first");
  await page.until(() => page.state === "open");
  turbo.disconnect("nobody");
  lines.push("second");
  for (let i = 0; i < 5; i++) turbo.push(append("list", html`<li>second</li>`));
  await page.shows("second");
});

Deno.test("openPage() comes back when its stream has ended, and has what it missed", async () => {
  const { turbo, app } = listApp();
  const cut = new AbortController();
  const asked: string[] = [];
  const fetch = async (request: Request) => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/turbo-stream") return app.fetch(request);
    asked.push(searchParams.get("since")!);
    if (asked.length === 2) return new Response("down", { status: 503 });
    const response = await app.fetch(request);
    if (asked.length > 2) return response;
    const { readable, writable } = new TransformStream();
    response.body!.pipeTo(writable, { signal: cut.signal }).catch(() => {});
    return new Response(readable, { headers: { "Content-Type": "text/event-stream" } });
  };
  await using page = await openPage({ fetch }, "/", { deadline: DEADLINE });
  turbo.push(append("list", html`<li>first</li>`));
  await page.shows("first");
  cut.abort();
  await page.until(() => page.state === "closed");
  turbo.push(append("list", html`<li>missed</li>`));
  await page.shows("missed");
  assert.deepEqual([page.state, page.text("#list")], ["open", "first missed"]);
  assert.equal(asked.length, 3);
});

Deno.test("openPage() is away when the server sends it away, until another page is visited", async () => {
  const { turbo, app, page: markup, connectAs, open } = listApp();
  app.get("/next", async (c) => c.html(await markup()));
  connectAs("ann");
  await using page = await open();
  turbo.disconnect("ann");
  await page.until(() => page.state === "away");
  await page.visit("/next");
  assert.deepEqual([page.state, page.path], ["open", "/next"]);
});

Deno.test("openPage() listens to the topics that are signed into its page", async () => {
  const { turbo, open } = listApp({ topics: ["room:1"], secret: "a secret of some length" });
  await using page = await open();
  turbo.push(append("list", html`<li>other</li>`), { topic: "room:2" });
  turbo.push(append("list", html`<li>mine</li>`), { topic: "room:1" });
  await page.shows("mine");
  assert.equal(page.text("#list"), "mine");
});

/** An app with a form, answered as a test says. */
function formApp(
  answer: (c: import("hono").Context, text: string) => Response | Promise<Response>,
) {
  const list = listApp({
    content: () =>
      html`
        <form id="add" method="post" action="/add">
          <label>Text <input name="text" value=""></label>
          <input type="hidden" name="secret" value="s">
          <input type="checkbox" name="done" value="yes">
          <input type="radio" name="size" value="s" checked><input type="radio" name="size" value="l">
          <select name="kind"><option>food</option><option value="d">drink</option></select>
          <textarea name="note">${"\n\nx"}</textarea>
          <input name="off" disabled value="1"><input name="file" type="file">
          <button name="how" value="first">Add</button><button name="how" value="second">Now</button>
        </form>
        <form id="find" action="/"><input name="q"></form>
        <button id="nothing" type="button">Nothing</button>
      `,
  });
  const sent: [string, string][][] = [];
  const requests: Request[] = [];
  list.app.post("/add", async (c) => {
    const entries = [...(await c.req.formData()).entries()].map((
      [name, value],
    ) => [name, String(value)]);
    sent.push(entries as [string, string][]);
    requests.push(c.req.raw);
    return await answer(c, Object.fromEntries(entries).text ?? "");
  });
  return { ...list, sent, requests };
}

Deno.test("page.submit() fills in a form, sends it as Turbo does, and follows a 303", async () => {
  const { turbo, lines, open, sent, requests } = formApp((c, text) => {
    lines.push(text);
    turbo.push(append("list", html`<li>${text}</li>`), { except: connectionId(c.req.raw) });
    return c.redirect("/?added", 303);
  });
  await using page = await open();
  await page.submit("#add", { text: "milk", done: true, size: "l", kind: "d" });
  assert.deepEqual(sent, [[
    ["text", "milk"],
    ["secret", "s"],
    ["done", "yes"],
    ["size", "l"],
    ["kind", "d"],
    ["note", "\r\nx"],
    ["how", "first"],
  ]]);
  assert.deepEqual([page.path, page.text("#list"), page.state], ["/?added", "milk", "open"]);
  const [request] = requests;
  assert.ok(acceptsStream(request!));
  assert.ok(connectionId(request!));
  assert.equal(request!.headers.get("Origin"), "http://localhost");
});

Deno.test("page.submit() shows a 422 in place", async () => {
  const { open } = formApp((c) => c.html(html`<h1>A text is needed</h1>`, 422));
  await using page = await open();
  await page.submit("#add");
  assert.deepEqual([page.path, page.status, page.text()], ["/", 422, "A text is needed"]);
});

Deno.test("page.submit() refuses an answer that Turbo refuses", async () => {
  const app = new Hono(); // without the middleware, which mends it
  app.get("/", (c) => c.html(`<form method="post" action="/add"><button>Add</button></form>`));
  app.post("/add", (c) => c.html("<p>Added</p>"));
  await using page = await openPage(app);
  await assert.rejects(
    page.submit("form"),
    /Cannot take the answer of \/add to a form, a page with status 200: Turbo needs a redirect/,
  );
});

Deno.test("page.submit() notes an answer that a browser would show nowhere", async () => {
  const { open } = formApp((c) => c.text("down", 503));
  await using page = await open();
  await page.submit("#add");
  await assert.rejects(
    page.shows("down", { deadline: 1 }),
    /; \/add answered a form by 503, and no/,
  );
});

Deno.test("page.submit() stays where it is after a 204", async () => {
  const { open, sent } = formApp((c) => c.body(null, 204));
  await using page = await open();
  await page.submit("#add", { text: "milk" });
  assert.deepEqual([page.path, page.status, page.state, sent.length], ["/", 200, "open", 1]);
});

Deno.test("page.submit() renders an answer of streams once, with what was pushed meanwhile", async () => {
  const { turbo, lines, open } = formApp((c, text) => {
    lines.push(text);
    const item = append("list", html`<li>${text}</li>`);
    turbo.push(item, { except: connectionId(c.req.raw) });
    turbo.push(append("list", html`<li>other</li>`));
    return streamResponse([replace(
      "list",
      html`
        <ul id="list">
          <li>${text}</li>
          <li>other</li>
        </ul>
      `,
    )], {
      cursor: turbo.cursor,
    });
  });
  await using page = await open();
  await page.submit("#add", { text: "milk" });
  assert.equal(page.text("#list"), "milk other");
  turbo.push(append("list", html`<li>last</li>`));
  await page.shows("last");
  assert.equal(page.text("#list"), "milk other last");
});

Deno.test("page.submit() brings an answer that is older than the page up to date", async () => {
  const { promise: isHeld, resolve: go } = Promise.withResolvers<void>();
  const { turbo, open } = formApp(async () => {
    const { cursor } = turbo;
    turbo.push(append("list", html`<li id="new">new</li>`));
    await isHeld;
    return streamResponse(
      replace(
        "list",
        html`
          <ul id="list">
            <li>old</li>
          </ul>
        `,
      ),
      { cursor },
    );
  });
  await using page = await open();
  const submitted = page.submit("#add");
  await page.shows("new");
  go();
  await submitted;
  assert.equal(page.text("#list"), "old new");
});

Deno.test("page.click() sends by the button that is clicked, and follows links", async () => {
  const { app, open, sent } = formApp((c) => c.redirect("/links", 303));
  app.get("/links", (c) => c.html(`<a href="/?back">Back <b>home</b></a><a href="#here">Here</a>`));
  await using page = await open();
  await page.click({ text: "Now" });
  assert.deepEqual(sent[0]!.at(-1), ["how", "second"]);
  assert.equal(page.state, "static");
  await page.click("a[href='#here']");
  await page.click({ text: "Back home" });
  assert.deepEqual([page.path, page.state], ["/?back", "open"]);
  await page.submit("#find", { q: "a b" });
  assert.equal(page.path, "/?q=a+b");
});

Deno.test("openPage() keeps cookies, for a second tab too", async () => {
  const { app, page: markup } = listApp();
  app.get("/in", (c) => {
    c.header("Set-Cookie", "user=ann; Path=/; HttpOnly", { append: true });
    c.header("Set-Cookie", "gone=; Max-Age=0", { append: true });
    return c.redirect("/me");
  });
  app.get(
    "/me",
    async (c) => c.html(await markup(html`<p>${c.req.header("Cookie") ?? "none"}</p>`)),
  );
  await using page = await openPage(app, "/in", { cookies: new Map([["gone", "1"]]) });
  assert.deepEqual([page.path, page.text("p")], ["/me", "user=ann"]);
  await using second = await openPage(app, "/me", { cookies: page.cookies });
  assert.equal(second.text("p"), "user=ann");
  await using other = await openPage(app, "/me");
  assert.equal(other.text("p"), "none");
});

Deno.test("openPage() loads frames, and brings them up to date", async () => {
  const { turbo, app, open } = listApp({
    content: () =>
      html`
        <turbo-frame id="f" src="/frame"></turbo-frame>
        <p id="end"></p>
      `,
  });
  let isOld = false;
  app.get("/frame", (c) => {
    const { cursor } = turbo;
    if (isOld) turbo.push(append("items", html`<i id="i">pushed</i>`));
    c.header("Turbo-Cursor", cursor);
    const frame = c.req.header("Turbo-Frame");
    return c.html(
      html`<turbo-frame id="f"><div id="items">${frame} </div><a href="/frame">More</a></turbo-frame>`,
    );
  });
  await using page = await open();
  assert.equal(page.text("#items"), "f");
  isOld = true;
  await page.click({ text: "More" });
  await page.shows("pushed", { in: "#items" });
  assert.equal(page.path, "/");
});

Deno.test("openPage() ends where each frame loads another", async () => {
  const app = new Hono();
  const frame = (n: number) => html`<turbo-frame id="f${n}" src="/frame/${n}"></turbo-frame>`;
  app.get("/", (c) => c.html(frame(0)));
  app.get("/frame/:n", (c) => {
    const n = Number(c.req.param("n"));
    return c.html(html`<turbo-frame id="f${n}">${frame(n + 1)}</turbo-frame>`);
  });
  await assert.rejects(openPage(app), {
    message: "Cannot load more than 1000 frames of /: each loads another",
  });
});

Deno.test("openPage() says at the deadline what has not been answered", async () => {
  const never = new Promise<Response>(() => {});
  await assert.rejects(openPage({ fetch: () => never }, "/slow", { deadline: 20 }), {
    message: /^Waited 20 ms in vain for an answer to \/slow: /,
  });
  const app = new Hono();
  app.get(
    "/",
    (c) => c.html('<form method="post"><button>Send</button></form><a href="/a">Go</a>'),
  );
  app.post("/", () => never);
  app.get("/a", () => never);
  await using page = await openPage(app, "/", { deadline: 20 });
  await assert.rejects(page.click({ text: "Send" }), /in vain for an answer to <button>Send/);
  await assert.rejects(page.click({ text: "Go" }), /in vain for an answer to <a href="\/a">Go/);
  await assert.rejects(page.submit("form"), /in vain for an answer to form: /);
});

Deno.test("page.shows() and page.lacks() say at the deadline what there is", async () => {
  const { turbo, open } = listApp();
  await using page = await open();
  turbo.push([update("lst", "x"), append("list", html`<li>bread</li>`)]);
  await page.shows("bread");
  await assert.rejects(
    page.shows("milk", { deadline: 1 }),
    /^Error: Waited 1 ms in vain for "milk": \/ \(200, open\), which shows "Lines bread"; no element has the id "lst", the target of a stream "update"$/,
  );
  await assert.rejects(page.lacks(/br.ad/, { deadline: 1 }), /for the end of \/br\.ad\/: /);
  await assert.rejects(
    page.shows("bread", { in: "#other", deadline: 1 }),
    /in vain for "bread" in "#other": /,
  );
  await assert.rejects(page.until(() => 1 > 2, { deadline: 1 }), /in vain for \(\) ?=> ?1 > 2: /);
});

Deno.test("openPage() says why a stream cannot be followed", async () => {
  const turbo = new Turbo();
  const app = new Hono();
  app.get("/", (c) => c.html(html`<head>${turbo.head()}</head>`));
  await assert.rejects(
    openPage(app, "/"),
    /^Error: Cannot follow the stream of \/ \(200, closed\), .*its stream \/turbo-stream answered 404 "404 Not Found"/,
  );
});

Deno.test("a page that has no stream says so where it is waited for", async () => {
  const app = new Hono().get("/", (c) => c.html("<p>No head"));
  await using page = await openPage(app);
  await assert.rejects(
    page.shows("x", { deadline: 1 }),
    /static: it has no turbo\.head\(\), so no push/,
  );
});

const WRONG: [
  what: string,
  act: (page: Awaited<ReturnType<typeof openPage>>) => unknown,
  RegExp,
][] = [
  [
    "an unknown field",
    (page) => page.submit("#add", { txt: "" }),
    /no field "txt" to fill in: there are text, done, size, kind, note/,
  ],
  ["a hidden field", (page) => page.submit("#add", { secret: "" }), /no field "secret"/],
  [
    "a choice that there is not",
    (page) => page.submit("#add", { kind: "x" }),
    /Cannot choose "x" for the field "kind": there are "food", "d"/,
  ],
  ["a radio that there is not", (page) => page.submit("#add", { size: "m" }), /there are "s", "l"/],
  [
    "a field that is undefined",
    (page) => page.submit("#add", { text: undefined! }),
    /Cannot take undefined as "text" of page\.submit\(\)/,
  ],
  [
    "a box for a text",
    (page) => page.submit("#add", { text: true }),
    /Cannot take true for the field "text": a text is needed/,
  ],
  ["two forms", (page) => page.submit("form"), /Cannot choose among 2 elements for "form"/],
  ["no form", (page) => page.submit("h1"), /that is a <h1>, and no form/],
  ["a form that is not there", (page) => page.submit("#x"), /Cannot find "#x" in \/ \(200, open\)/],
  ["a button that does nothing", (page) => page.click("#nothing"), /Cannot click <button/],
  [
    "a label that is not there",
    (page) => page.click({ text: "Go" }),
    /Cannot find a link or button "Go"/,
  ],
  ["a selector that is none", (page) => page.text("p["), /Cannot read "p\[" as a CSS selector/],
  ["nothing to wait for", (page) => page.shows(""), /Cannot take "" as "expected"/],
  ["a wrong option", (page) => page.shows("x", { within: 1 } as never), /has no option "within"/],
  [
    "another origin",
    (page) => page.visit("https://elsewhere.example/"),
    /a path of the app is needed/,
  ],
];

for (const [what, act, message] of WRONG) {
  Deno.test(`a test page names ${what}`, async () => {
    const { open } = formApp((c) => c.text("sent"));
    await using page = await open();
    await assert.rejects(async () => await act(page), { message });
  });
}

Deno.test("openPage() checks what it is given", async () => {
  const { app } = listApp();
  const cases: [Promise<unknown>, RegExp][] = [
    [
      openPage({} as never),
      /Cannot take \{\} as "app" of openPage\(\): an object with the method fetch/,
    ],
    [openPage(app, ""), /Cannot take "" as "path"/],
    [
      openPage(app, "/", { cookie: "x" } as never),
      /has no option "cookie": there are cookies, headers, origin, deadline/,
    ],
    [openPage(app, "/", { cookies: {} as never }), /as "cookies"/],
    [openPage(app, "/", { origin: "localhost" }), /an origin such as http:\/\/localhost is needed/],
    [openPage(app, "/", { deadline: -1 }), /Cannot take -1 as "deadline"/],
  ];
  for (const [opening, message] of cases) await assert.rejects(opening, { message });
});
