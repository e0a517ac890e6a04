import assert from "node:assert/strict";
import { html, replace, Turbo } from "../turbo/mod.ts";
import { Network, openPage, PageClock } from "./headless_page.ts";
import { freePort, serve, until, WITH_PROCESS, within } from "./kit.ts";
import { startApp } from "./processes.ts";

/** A server whose only page shows "old" until it is changed; `opened` is called for each connection. */
function start(
  { port = freePort(), opened = () => {} }: { port?: number; opened?: () => void } = {},
) {
  const turbo = new Turbo();
  let state = "old";
  const server = serve((request) => {
    if (new URL(request.url).pathname === "/") {
      return Response.json(["page", state, turbo.cursor]);
    }
    const response = turbo.connect(request);
    if (response.status === 101) opened();
    return response;
  }, port);
  return {
    turbo,
    url: server.url,
    port: server.port,
    change(value: string) {
      state = value;
      turbo.push(replace("state", html`<b id="state">${value}</b>`));
    },
    async [Symbol.asyncDispose]() {
      await turbo.close({ window: 0 });
      await server[Symbol.asyncDispose]();
    },
  };
}

// 500 browser pages are too many for a machine that runs tests. So 500 copies of the real client run
// here, each with a minimal page, and with the clock of the test.
Deno.test("500 pages whose server is back 2 s after a kill do not all reconnect at once", async () => {
  const clock = new PageClock();
  const network = new Network();
  await using first = start();
  await using pages = new AsyncDisposableStack();
  const { url, turbo } = first;
  const all = Array.from({ length: 500 }, () => openPage(url, turbo.cursor, { clock, network }));
  pages.defer(async () => {
    for (const page of all) page.close();
    await until(() => all.every(({ isClosed }) => isClosed), "the sockets are closed");
  });
  await network.settle();
  clock.run(100); // a gap may follow the marker
  assert(all.every(({ state }) => state === "open"), "all are open");

  await first[Symbol.asyncDispose](); // now nothing listens on the port
  await until(() => all.every(({ state }) => state === "closed"), "all have noticed");
  const back = clock.now + 2_000;
  while (clock.next < back) {
    clock.runNext();
    await network.settle();
  }
  const times: number[] = [];
  await using second = start({ port: first.port, opened: () => times.push(clock.now) });
  second.change("new");
  while (!all.every(({ shown, state }) => state === "open" && shown.includes("new"))) {
    clock.runNext();
    await network.settle();
    assert(clock.now < back + 25_000, `${clock.now - back} ms, and not all are current`);
  }
  const counts = times.map((start) => times.filter((at) => at >= start && at < start + 250).length);
  const busiest = Math.max(...counts);
  assert(busiest <= 50, `${busiest} of 500 within 250 ms`);
});

// Beyond the backlog the kernel drops handshakes, and clients must retry.
Deno.test(
  "700 simultaneous connections fit into the backlog of a main.ts that is too busy to accept any",
  WITH_PROCESS,
  async () => {
    await using app = await startApp();
    app.child.kill("SIGSTOP");
    const connecting = Array.from(
      { length: 700 },
      () => Deno.connect({ hostname: "127.0.0.1", port: app.port }),
    );
    try {
      await within(Promise.all(connecting), "all to be connected");
    } finally {
      app.child.kill("SIGCONT");
      for (const connection of await Promise.all(connecting)) connection.close();
    }
  },
);
