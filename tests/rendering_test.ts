/// <reference lib="dom" />
import assert from "node:assert/strict";
import {
  action,
  append,
  html,
  prepend,
  raw,
  remove,
  replace,
  type Stream,
  update,
} from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { type PageApp, startPageApp } from "./apps/page_app.ts";
import { type Page, startBrowser, watch } from "./browser.ts";
import { pause, until, WITH_BROWSER } from "./kit.ts";

/** An app, and an open page of it. */
interface Scene {
  readonly app: PageApp;
  readonly page: Page;
  /** Console errors and uncaught exceptions. */
  readonly errors: string[];
}

function scenario(
  name: string,
  run: (scene: Scene) => Promise<void>,
  prepare: (app: PageApp) => void = () => {},
  options: Parameters<typeof startPageApp>[0] = {},
): void {
  Deno.test(name, WITH_BROWSER, async () => {
    await using app = startPageApp(options);
    prepare(app);
    await using browser = await startBrowser();
    const { page } = await browser.open("");
    const { errors } = watch(page);
    await page.goto(app.url);
    await page.waitForSelector(OPEN_PAGE);
    await run({ app, page, errors });
  });
}

async function shows(page: Page, selector: string, text: string): Promise<void> {
  await until(async () => await page.textContent(selector) === text, `${selector} shows ${text}`)
    .catch(async (error) => {
      const shown = await page.textContent(selector);
      throw new Error(`${selector} shows ${JSON.stringify(shown)}, not ${text}`, { cause: error });
    });
}

/** Waits until everything pushed so far is in the page. */
async function settles({ app, page }: Scene): Promise<void> {
  app.count();
  await shows(page, "#n", String(app.n));
}

// ---- Parts of a page are the client's own knowledge

for (
  const claim of [
    'data-turbo-cursor="EPOCH.z z"',
    'data-turbo-cursor="EPOCH.0"',
    'data-turbo-cursor="EPOCH.9007199254740991"',
    'data-turbo-page="x" data-page="x" data-turbo-message="0"',
    'data-turbo-permanent data-turbo-cursor="EPOCH.0"',
  ]
) {
  scenario(`Markup cannot claim a position: ${claim}`, async (scene) => {
    const { app, page } = scene;
    const [epoch] = app.turbo.cursor.split(".");
    app.turbo.push(
      append("comments", raw(`<p ${claim.replace("EPOCH", epoch!)}><b id="m">0</b></p>`)),
    );
    await page.waitForSelector("#m");
    const { asked } = app;
    for (let n = 1; n <= 20; n++) app.turbo.push(replace("m", html`<b id="m">${n}</b>`));
    await shows(page, "#m", "20");
    await settles(scene);
    assert.equal(app.asked, asked, "the page was not fetched");
  }, (app) => {
    app.body = () => html`<div id="comments"></div>`;
  });
}

const FIELDS = [
  "id",
  "dataset",
  "closest",
  "matches",
  "parentElement",
  "parentNode",
  "children",
  "contains",
  "getAttribute",
  "setAttribute",
  "hasAttribute",
  "querySelector",
  "querySelectorAll",
  "isConnected",
  "elements",
  "remove",
  "target",
  "action",
  "nodeType",
  "localName",
  "tagName",
  "ownerDocument",
];

// The answer is older than what is pushed while it is in transit. Turbo itself cannot send such a form.
scenario(
  "Fields named like properties do not prevent a form from being brought up to date",
  async (scene) => {
    const { app, page } = scene;
    let items: number[] = [];
    const form = () =>
      html`<form id="form">${FIELDS.map((name) => html`<input type="hidden" name="${name}">`)}<b
      id="m">${app.n}</b><ol id="list">${items.map((n) => html`<li>${n}</li>`)}</ol></form>`;
    app.body = () => html`<form method="post" action="/save"><button>Save</button></form>${form()}`;
    let pushed = Promise.withResolvers<void>();
    let arrived = Promise.withResolvers<void>();
    app.routes["POST /save"] = async () => {
      const answer = app.streams(replace("form", form()));
      arrived.resolve();
      await pushed.promise;
      return answer;
    };
    await page.goto(app.url);
    await page.waitForSelector(OPEN_PAGE);
    for (let round = 0; round < 3; round++) {
      arrived = Promise.withResolvers();
      pushed = Promise.withResolvers();
      await page.click("button");
      await arrived.promise;
      app.n++;
      app.turbo.push(replace("form", form()));
      items = [...items, items.length + 1];
      app.turbo.push(append("list", html`<li>${items.length}</li>`));
      app.turbo.push(update("m", String(++app.n)));
      const state = String(app.n);
      await shows(page, "#m", state);
      const answered = page.waitForResponse((response) => response.url().endsWith("/save"));
      pushed.resolve();
      await answered;
      await settles(scene);
      await shows(page, "#m", state);
      await shows(page, "#list", items.join(""));
    }
  },
);

scenario(
  "What an answer appends is brought up to date with earlier pushes",
  async (scene) => {
    const { app, page } = scene;
    const { promise, resolve } = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const item = (done: boolean) => html`<li id="item">${done ? "done" : "open"}</li>`;
    app.routes["POST /save"] = async () => {
      const answer = app.streams(append("list", item(false)));
      arrived.resolve();
      await promise;
      return answer;
    };
    await page.click("button");
    await arrived.promise;
    app.turbo.push(replace("item", item(true))); // by somebody else, whose page has it already
    await settles(scene);
    resolve();
    await page.waitForSelector("#item");
    await settles(scene);
    await shows(page, "#item", "done");
  },
  (app) => {
    app.body = () =>
      html`
        <ol id="list"></ol>
        <form method="post" action="/save"><button>Add</button></form>
      `;
  },
);

scenario("A permanent element is not given twice what it has had before a visit", async (scene) => {
  const { app, page } = scene;
  const { promise, resolve } = Promise.withResolvers<void>();
  const requested = page.waitForRequest((request) => request.url().endsWith("/other"));
  app.answer = () => {
    const page = app.page("/other"); // as of now
    return promise.then(() => page);
  };
  await page.evaluate(() => document.getElementById("other")!.click());
  await requested;
  for (let n = 0; n < 3; n++) app.turbo.push(append("log", html`<li>${n}</li>`));
  await settles(scene);
  resolve();
  await page.waitForSelector('h1:text-is("/other")');
  app.turbo.push(append("log", html`<li>3</li>`));
  await settles(scene);
  await shows(page, "#log", "0123");
}, (app) => {
  app.body = () => html`<ol id="log" data-turbo-permanent></ol>`;
});

scenario(
  "Heartbeats change nothing in the document, and pushes change only their targets",
  async (scene) => {
    const { page } = scene;
    await page.evaluate(() => {
      const seen: string[] = [];
      new MutationObserver((records) => {
        for (const { target, type, attributeName } of records) {
          seen.push(`${type} ${(target as Element).localName} ${attributeName ?? ""}`);
        }
      }).observe(document, {
        subtree: true,
        childList: true,
        attributes: true,
        characterData: true,
      });
      Object.assign(globalThis, { seen });
    });
    const session = await page.context().newCDPSession(page);
    const frames = new Promise<void>((resolve) => {
      let beats = 0;
      session.on("Network.webSocketFrameReceived", () => ++beats === 5 && resolve());
    });
    await session.send("Network.enable");
    await frames;
    const seen = () => page.evaluate(() => (globalThis as unknown as { seen: string[] }).seen);
    assert.deepEqual(await seen(), []);
    await settles(scene);
    // Turbo connects the stream elements to <html>.
    assert.deepEqual([...new Set(await seen())].sort(), ["childList body ", "childList html "]);
  },
  () => {},
  { heartbeat: 100 },
);

// ---- Every stream of a message is tried

const FAULTS: Record<string, string> = {
  "a selector that is none": String(replace({ all: "b[" }, html`<b>x</b>`)),
  "an unknown action": String(action("no-such-action", { target: "n" })),
  "an action that throws": String(action("throws", { target: "n" })),
  "an action that rejects": String(action("rejects", { target: "n" })),
  "a listener that replaces its rendering by one that throws": String(
    action("custom", { target: "n" }),
  ),
  "a first child that is no template":
    '<turbo-stream action="append" target="list"><p>x</p></turbo-stream>',
  "neither target nor action": "<turbo-stream><template></template></turbo-stream>",
  "no target in the page": String(update("nowhere", "x")),
};

for (const mode of ["pushed", "answered"] as const) {
  scenario(`A stream that cannot be rendered costs itself alone, ${mode}`, async (scene) => {
    const { app, page, errors } = scene;
    await page.evaluate(() => {
      const { StreamActions } =
        (globalThis as unknown as { Turbo: { StreamActions: object } }).Turbo;
      Object.assign(StreamActions, {
        throws() {
          throw new Error("it throws");
        },
        async rejects() {
          await Promise.resolve();
          throw new Error("it rejects");
        },
        custom() {},
      });
      document.addEventListener("turbo:before-stream-render", (event) => {
        if ((event.target as Element).getAttribute("action") !== "custom") return;
        (event as CustomEvent).detail.render = () => {
          throw new Error("it is custom");
        };
      });
    });
    let n = 0;
    for (const [name, fault] of Object.entries(FAULTS)) {
      const before = errors.length;
      const streams = [
        append("list", html`<li>${++n}</li>`),
        fault as Stream,
        append("list", html`<li>${++n}</li>`),
      ];
      if (mode === "pushed") {
        // Also when it is joined with others in one message. No builder makes such a stream.
        await pushUnchecked(app, streams.join(""));
      } else {
        app.routes["POST /save"] = () =>
          new Response(streams.join(""), {
            headers: {
              "Content-Type": "text/vnd.turbo-stream.html",
              "Turbo-Cursor": app.turbo.cursor,
            },
          });
        await page.click("button");
      }
      await until(
        async () => (await page.textContent("#list"))?.endsWith(String(n)) ?? false,
        `both neighbours of ${name} are rendered`,
      );
      const isSilent = name === "no target in the page";
      await until(() => errors.length > before || isSilent, `${name} is reported`);
    }
    await shows(page, "#list", Array.from({ length: n }, (_, i) => i + 1).join(""));
    assert.equal(await page.locator("html > turbo-stream").count(), 0, "none is left in the page");
    await settles(scene);
  }, (app) => {
    app.body = () =>
      html`
        <ol id="list"></ol>
        <form method="post" action="/save"><button>Go</button></form>
      `;
  });
}

/** Pushes markup that no builder makes, but that another server might. */
async function pushUnchecked(app: PageApp, text: string): Promise<void> {
  const joined = Array.prototype.join;
  Array.prototype.join = function (separator) {
    return this.length === 1 && this[0] === MARK ? text : joined.call(this, separator);
  };
  try {
    app.turbo.push(MARK);
  } finally {
    Array.prototype.join = joined;
  }
  await pause(0);
}

const MARK = remove("unchecked");

scenario(
  "Typed text comes back in an answer unchanged, even with an empty first line",
  async (scene) => {
    const { app, page } = scene;
    const form = (value: string) =>
      html`
        <form id="form" method="post"
          action="/save"><textarea id="t" name="t">${raw("\n")}${value}</textarea><pre id="p">${raw(
            "\n",
          )}${value}</pre><p id="said">${value.length}</p><button>Save</button></form>
      `;
    app.routes["POST /save"] = async (request) => {
      const typed = String((await request.formData()).get("t")).replaceAll("\r\n", "\n");
      return app.streams([replace("form", form(typed)), update("n", "x")], { status: 422 });
    };
    app.turbo.push(append("box", form("")));
    await page.waitForSelector("#t");
    for (const typed of ["\n\n  two", "\nx", "plain", "<b>&amp;\n"]) {
      await page.fill("#t", typed);
      app.count(); // an answer and a push in one batch
      await page.click("button");
      await shows(page, "#said", String(typed.length));
      assert.equal(await page.inputValue("#t"), typed);
      assert.equal(await page.textContent("#p"), typed);
    }
  },
  (app) => {
    app.body = () => html`<div id="box"></div>`;
  },
);

// ---- Events

scenario("turbo-stream:rendered tells what is in the page, after each batch", async (scene) => {
  const { app, page } = scene;
  await page.evaluate(() => {
    const told: unknown[] = [];
    document.addEventListener("turbo-stream:rendered", (event) => {
      const { cursor, targets } = (event as CustomEvent).detail;
      told.push({ cursor, targets, shown: document.getElementById("list")!.textContent });
    });
    Object.assign(globalThis, { told });
  });
  const told = () => page.evaluate(() => (globalThis as unknown as { told: unknown[] }).told);
  app.turbo.push([
    append("list", html`<li>1</li>`),
    prepend("list", html`<li>0</li>`),
    update({ all: "h1" }, "title"),
  ]);
  await until(async () => (await told()).length === 1, "one batch is reported");
  assert.deepEqual(await told(), [
    { cursor: app.turbo.cursor, targets: ["list", "h1"], shown: "01" },
  ]);
  app.routes["POST /save"] = () => app.streams(append("list", html`<li>2</li>`));
  await page.click("button");
  await until(async () => (await told()).length === 2, "an answer is reported");
  assert.deepEqual((await told())[1], {
    cursor: app.turbo.cursor,
    targets: ["list"],
    shown: "012",
  });
}, (app) => {
  app.body = () =>
    html`
      <ol id="list"></ol>
      <form method="post" action="/save"><button>Go</button></form>
    `;
});

scenario("A listener to submit-end that reads the answer finds it", async (scene) => {
  const { app, page } = scene;
  await page.evaluate(() =>
    document.addEventListener("turbo:submit-end", async (event) => {
      const { fetchResponse, success } = (event as CustomEvent).detail;
      Object.assign(globalThis, {
        answer: [success, await fetchResponse.responseHTML, await fetchResponse.responseText],
      });
    })
  );
  app.routes["POST /save"] = () => app.streams(append("list", html`<li>2</li>`));
  await page.click("button");
  await shows(page, "#list", "2");
  const text = String(append("list", html`<li>2</li>`));
  await until(async () => await page.evaluate("globalThis.answer") !== undefined, "it is read");
  assert.deepEqual(await page.evaluate("answer"), [true, text, text]);
}, (app) => {
  app.body = () =>
    html`
      <ol id="list"></ol>
      <form method="post" action="/save"><button>Go</button></form>
    `;
});

// ---- The focus is the reader's

scenario("A push does not move the focus that the reader moves meanwhile", async (scene) => {
  const { page } = scene;
  await page.focus("#first");
  // Between the arrival of a push and the paint that shows it.
  await page.evaluate(() => {
    document.addEventListener("turbo:before-stream-render", () => {
      queueMicrotask(() => document.getElementById("second")!.focus());
    }, { once: true });
  });
  await settles(scene);
  await settles(scene);
  assert.equal(await page.evaluate("document.activeElement.id"), "second");
}, (app) => {
  app.body = () => html`<input id="first"><input id="second">`;
});

scenario("[autofocus] of a stream takes the focus under pushes", async (scene) => {
  const { app, page } = scene;
  await page.focus("#first");
  await page.evaluate(() => {
    document.addEventListener("turbo:before-stream-render", () => {
      queueMicrotask(() => document.getElementById("first")!.blur());
    }, { once: true });
  });
  app.count();
  app.turbo.push(append("box", html`<input id="second" autofocus>`));
  await page.waitForSelector("#second");
  await until(
    async () => await page.evaluate("document.activeElement.id") === "second",
    "it has the focus",
  );
}, (app) => {
  app.body = () => html`<input id="first"><div id="box"></div>`;
});

scenario("A field that is replaced keeps the focus, and the page its place", async (scene) => {
  const { app, page } = scene;
  await page.focus("#first");
  await page.evaluate(() => scrollTo(0, 2_000));
  assert.equal(await page.evaluate("scrollY"), 2_000);
  app.turbo.push(replace("first", html`<input id="first" class="new">`));
  await page.waitForSelector(".new", { state: "attached" });
  await settles(scene);
  assert.equal(await page.evaluate("document.activeElement.id"), "first");
  assert.equal(await page.evaluate("scrollY"), 2_000);
}, (app) => {
  app.body = () => html`<input id="first"><div style="height: 5000px"></div>`;
});

// ---- What is shown is followed

scenario("A preview is followed while the visit lasts", async (scene) => {
  const { app, page } = scene;
  await page.evaluate(() => document.getElementById("other")!.click());
  await page.waitForSelector('h1:text-is("/other")');
  const { promise, resolve } = Promise.withResolvers<void>();
  app.answer = () => promise.then(() => app.page());
  await page.evaluate(() => document.getElementById("home")!.click());
  await page.waitForSelector("html[data-turbo-preview]");
  await settles(scene);
  await settles(scene);
  assert.equal(await page.locator("html[data-turbo-preview]").count(), 1);
  resolve();
  await page.waitForSelector("html:not([data-turbo-preview])");
  await settles(scene);
});

scenario(
  "Visits faster than a page may ask keep their connection",
  async (scene) => {
    const { page, errors } = scene;
    const sockets: string[] = [];
    page.on("websocket", (socket) => sockets.push(socket.url()));
    for (let n = 0; n < 40; n++) {
      const link = n % 2 === 0 ? "other" : "home";
      await page.evaluate((link) => document.getElementById(link)!.click(), link);
      await page.waitForSelector(
        `html:not([data-turbo-preview]) h1:text-is("/${link.replace("home", "")}")`,
      );
    }
    await settles(scene);
    assert.deepEqual([sockets, errors], [[], []]);
  },
);
