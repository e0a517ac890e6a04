import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import assert from "node:assert/strict";
import { PLAIN_FORM, post as postForm, TURBO_FORM } from "../tests/example_kit.ts";
import { serve, WITH_PROCESS } from "../tests/kit.ts";
import { ask, request } from "../tests/raw.ts";
import type { TurboOptions } from "../turbo/mod.ts";
import { createApp as createChat } from "./chat.ts";
import { createApp as createFlash } from "./flash.ts";
import { createApp as createLogin } from "./login.ts";
import { createApp as createProgress } from "./progress.ts";
import { errorHandler, reporter } from "./layout.ts";
import { createApp } from "./todos.ts";

const EXAMPLES = {
  todos: createApp,
  chat: createChat,
  progress: createProgress,
  flash: (options?: TurboOptions) => createFlash(options),
  login: (options?: TurboOptions) => createLogin(options),
};
const PAGES = { todos: "/", chat: "/rooms/lobby", progress: "/", flash: "/", login: "/login" };

function post(headers: Record<string, string>, body: string | Uint8Array<ArrayBuffer>) {
  const { hono } = createApp();
  return hono.request("http://app.example/todos", { method: "POST", headers, body });
}

const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

Deno.test("field() answers a form that cannot be read with 400", async () => {
  const cases: [string, string | Uint8Array<ArrayBuffer>][] = [
    ["multipart/form-data", "text=milk"],
    ["application/x-www-form-urlencoded", "text=%E0%A4%A"],
    ["application/x-www-form-urlencoded", "text=%ff"],
    ["application/x-www-form-urlencoded", new Uint8Array([116, 101, 120, 116, 61, 0xff])],
  ];
  for (const [type, body] of cases) {
    const headers = { "Content-Type": type, Origin: "http://app.example", Host: "app.example" };
    const response = await post(headers, body);
    assert.equal(response.status, 400, `${type} ${body}`);
    assert.equal(await response.text(), "The form cannot be read");
  }
});

Deno.test("frontOf() accepts forms of the same host, also when a proxy terminates TLS", async () => {
  const cases: [Record<string, string>, number][] = [
    [{ Origin: "http://app.example", Host: "app.example" }, 303],
    [{ Origin: "https://app.example", Host: "app.example" }, 303],
    [{ Origin: "https://evil.example", Host: "app.example" }, 403],
    [{ Origin: "https://app.example.evil", Host: "app.example" }, 403],
    [{ Origin: "null", Host: "app.example" }, 403],
  ];
  for (const [headers, status] of cases) {
    const response = await post({ ...FORM, ...headers }, "text=milk");
    assert.equal(response.status, status, headers["Origin"]);
    await response.body?.cancel();
  }
});

Deno.test("A page that differs by reader is not cached; any other is revalidated before use", async () => {
  const pages = [
    [createProgress(), "/", "private, no-store"],
    [createFlash(), "/", "private, no-store"],
    [createApp(), "/", "no-cache"],
    [createChat({ onNotice() {} }), "/rooms/lobby", "private, no-store"], // it sets a cookie
  ] as const;
  for (const [{ hono }, path, expected] of pages) {
    const { headers } = await hono.request(path, {});
    assert.equal(headers.get("Cache-Control"), expected, path);
  }
});

Deno.test("The answer to a form is not cached", async () => {
  const forms = [
    [createProgress({ work: () => Promise.resolve() }), "/jobs", 303],
    [createFlash(), "/greetings", 422],
    [createApp(), "/todos", 422],
    [createChat({ onNotice() {} }), "/rooms/lobby", 422],
  ] as const;
  for (const [app, path, status] of forms) {
    for (const headers of [PLAIN_FORM, TURBO_FORM]) {
      const response = await postForm(app, path, { headers });
      assert.equal(response.status, status, path);
      assert.equal(response.headers.get("Cache-Control"), "private, no-store", path);
    }
  }
});

Deno.test("cookieOptions() restricts a cookie to TLS when the app or a proxy uses TLS", async () => {
  const cases: [url: string, proto: string | undefined, isSecure: boolean][] = [
    ["http://app.example/", undefined, false],
    ["http://app.example/", "http", false],
    ["http://app.example/", "https", true],
    ["https://app.example/", undefined, true],
  ];
  const fields = { name: "Ann" };
  for (const [url, proto, isSecure] of cases) {
    const forwarded: Record<string, string> = proto ? { "X-Forwarded-Proto": proto } : {};
    const Origin = `${proto ?? new URL(url).protocol.slice(0, -1)}://app.example`;
    const headers = { ...PLAIN_FORM, ...forwarded, Origin };
    const cookies = [
      (await createProgress().hono.request(url, { headers })).headers,
      (await postForm(createFlash(), `${url}greetings`, { fields, headers })).headers,
    ].map((headers) => headers.get("Set-Cookie")!);
    for (const cookie of cookies) {
      assert.match(cookie, /; HttpOnly; /);
      assert.equal(/; Secure(;|$)/.test(cookie), isSecure, `${cookie} of ${url} over ${proto}`);
    }
  }
});

Deno.test("frontOf() rejects a form of a page over http when the app is over https", async () => {
  const statusOf = async (Origin: string, proto: string) => {
    const headers = { ...PLAIN_FORM, Origin, "X-Forwarded-Proto": proto };
    const fields = { name: "Ann" };
    return (await postForm(createFlash(), "http://app.example/greetings", { fields, headers }))
      .status;
  };
  assert.equal(await statusOf("https://app.example", "https"), 303);
  assert.equal(await statusOf("http://app.example", "http"), 303);
  assert.equal(await statusOf("http://app.example", "https"), 403);
  assert.equal(await statusOf("https://b.example", "https"), 403);
});

for (const name of ["todos", "chat", "progress", "flash", "login"] as const) {
  Deno.test(`${name} answers an invalid Host with 400, and reports nothing`, async () => {
    const reported: string[] = [];
    const onError = (message: string) => reported.push(message);
    const { hono } = EXAMPLES[name]({ onError, onNotice() {} });
    await using server = serve((request) => hono.fetch(request));
    for (const path of [PAGES[name], "/assets/x"]) {
      for (const Host of ["a b", "[bad", "a/b", ""]) {
        const answer = await ask(server.port, request(`GET ${path} HTTP/1.1`, { Host }));
        assert.equal(answer.status, 400, `${path} at ${JSON.stringify(Host)}`);
      }
    }
    assert.deepEqual(reported, []);
  });

  Deno.test(`${name} answers a URL that cannot be parsed with 400, and reports nothing`, async () => {
    const reported: string[] = [];
    const onError = (message: string) => reported.push(message);
    const { hono } = EXAMPLES[name]({ onError, onNotice() {} });
    await using server = serve((request) => hono.fetch(request));
    for (const path of [PAGES[name], "/assets/x"]) {
      const line = `GET http://[bad${path} HTTP/1.1`;
      const { status } = await ask(server.port, request(line, { Host: "app.example" }));
      assert.equal(status, 400, line);
    }
    assert.deepEqual(reported, []);
  });

  Deno.test(`${name} answers requests for other hosts with 421`, async () => {
    const allowedHosts = ["app.example"];
    const { hono } = EXAMPLES[name]({ allowedHosts, onNotice() {} });
    const page = await hono.request("http://app.example/" + PAGES[name].slice(1), {
      headers: { Host: "app.example" },
    });
    assert.equal(page.status, 200);
    const [asset = ""] = /\/assets\/turbo-stream[^"]+/.exec(await page.text())!;
    for (const path of [PAGES[name], asset, "/none"]) {
      const response = await hono.request(`http://evil.example${path}`, {
        headers: { Host: "evil.example" },
      });
      assert.equal(response.status, 421, path);
      assert.match(response.headers.get("Content-Security-Policy") ?? "", /default-src 'none'/);
    }
  });

  Deno.test(`${name} answers an error with 500 and reports it once`, async () => {
    const reported: [string, unknown][] = [];
    const { hono } = EXAMPLES[name]({
      onError: (...report) => reported.push(report),
      onNotice() {},
    });
    const error = new Error("the database is down");
    (hono as unknown as Hono).get("/failing/:id", () => {
      throw error;
    });
    const response = await hono.request("/failing/%0A%1B");
    assert.equal(response.status, 500);
    assert.equal(await response.text(), "Internal server error\n");
    assert.deepEqual(reported, [["Cannot answer GET /failing/%0A%1B:", error]]);
  });
}

Deno.test("errorHandler() keeps the status and text of an HTTPException", async () => {
  const hono = new Hono();
  hono.onError(errorHandler(() => assert.fail("reported")));
  hono.get("/", (c) => {
    c.header("X-Own", "1");
    throw new HTTPException(418, { message: "A teapot" });
  });
  const response = await hono.request("/");
  assert.deepEqual([response.status, await response.text()], [418, "A teapot"]);
  assert.equal(response.headers.get("X-Own"), "1");
});

Deno.test("reporter() survives an onError that throws or rejects", async () => {
  const failing = [
    () => {
      throw new Error("wrong");
    },
    () => Promise.reject(new Error("wrong")),
  ];
  for (const onError of failing) reporter({ onError })("A job failed:", new Error("disk gone"));
  await new Promise((resolve) => setTimeout(resolve)); // a rejection nobody handles fails the test
});

Deno.test(
  "reporter() writes one line by default, with the message alone",
  WITH_PROCESS,
  async () => {
    const code = `
    import { reporter } from ${JSON.stringify(import.meta.resolve("./layout.ts"))};
    reporter({})("A job failed:", new Error("disk gone\\nat line 2", { cause: "a magnet" }));
  `;
    const { stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--config", new URL("../deno.json", import.meta.url).pathname, code],
    }).output();
    assert.equal(new TextDecoder().decode(stderr), "A job failed: disk gone\n");
  },
);
