import assert from "node:assert/strict";
import { startModelApp } from "./apps/model_app.ts";
import { lockInterfaces } from "./interfaces.ts";
import { pause, QUICK, until, within } from "./kit.ts";

// The headless shell from npm has no back/forward cache; Debian's Chromium has.
const CHROMIUM = "/usr/bin/chromium";
const isInstalled = await Deno.stat(CHROMIUM).then(() => true, () => false);
if (!isInstalled && !QUICK) {
  console.log("NOTICE: chromium is not installed, the test of its cache is skipped");
}

Deno.test({
  name: "o. A page that comes out of the real back/forward cache is current",
  ignore: QUICK || !isInstalled,
  async fn() {
    await using app = startModelApp();
    await using tab = await openTab();
    const list = () => tab.evaluate("document.getElementById('list')?.textContent");
    const isOpen = async () =>
      await tab.evaluate("document.documentElement.dataset.turboStream") === "open";
    await tab.goTo(app.url);
    await until(isOpen, "the page is connected");
    await tab.evaluate(
      "titles = []; new MutationObserver(() => titles.push(document.title))" +
        ".observe(document.head, { childList: true })",
    );
    await tab.evaluate("addEventListener('pageshow', (event) => { came = event.persisted })");
    app.add();
    await until(async () => await list() === "1", "the page has what was pushed");
    await tab.goTo(`${app.url.replace("127.0.0.1", "localhost")}/elsewhere`);
    await until(() => app.turbo.size === 0, "the page has closed its connection");
    app.add();
    app.add();
    await pause(2_100); // by then, a page that is shown would say that it is offline
    await tab.evaluate("history.back()");
    await until(async () => await list() === "123", "the page is current");
    assert.equal(await tab.evaluate("came"), true, "it came from the cache");
    assert.equal(await tab.evaluate("titles.join()"), "", "it has not said that it is offline");
    await until(() => app.turbo.size === 1, "it has one line");
  },
});

/** A tab over the DevTools protocol, because Playwright would keep the page out of the cache. */
async function openTab() {
  await using made = new AsyncDisposableStack();
  made.use(await lockInterfaces({ toChange: false }));
  const profile = await Deno.makeTempDir({ prefix: "turbo-deno-chromium-" });
  // The browser's helper processes end a moment later, and write there until then.
  made.defer(() =>
    until(
      () => Deno.remove(profile, { recursive: true }).then(() => true, () => false),
      "the browser's files are removed",
    )
  );
  const child = new Deno.Command(CHROMIUM, {
    args: [
      ...["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"],
      ...["--disable-background-networking", "--disable-component-update", "--disable-quic"],
      ...["--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"],
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  made.defer(async () => {
    child.kill("SIGTERM");
    await within(child.status, "the browser to end");
  });
  const portFile = `${profile}/DevToolsActivePort`;
  await until(
    () => Deno.stat(portFile).then(({ size }) => size > 0, () => false),
    "the browser is up",
  );
  const [port] = (await Deno.readTextFile(portFile)).split("\n");
  const targets = await (await fetch(`http://127.0.0.1:${port}/json/list`)).json();
  const { webSocketDebuggerUrl } = targets.find(({ type }: { type: string }) => type === "page");
  const socket = new WebSocket(webSocketDebuggerUrl);
  const closed = new Promise((resolve) => socket.onclose = resolve);
  made.defer(async () => {
    socket.close();
    await within(closed, "the tab to close");
  });
  await within(new Promise((resolve) => socket.onopen = resolve), "the tab");
  const replies = new Map<number, (reply: { result?: { result?: { value?: unknown } } }) => void>();
  socket.onmessage = ({ data }) => {
    const reply = JSON.parse(data);
    replies.get(reply.id)?.(reply);
    replies.delete(reply.id);
  };
  let last = 0;
  const send = async (method: string, params: Record<string, unknown>) => {
    const id = ++last;
    const reply = new Promise<{ result?: { result?: { value?: unknown } } }>((resolve) =>
      replies.set(id, resolve)
    );
    socket.send(JSON.stringify({ id, method, params }));
    return await within(reply, method);
  };
  const all = made.move();
  return {
    async goTo(url: string) {
      await send("Runtime.evaluate", { expression: `location.href = ${JSON.stringify(url)}` });
    },
    async evaluate(expression: string) {
      const { result } = await send("Runtime.evaluate", { expression, returnByValue: true });
      return result?.result?.value;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
