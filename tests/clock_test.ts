import assert from "node:assert/strict";
import { html, replace, Turbo } from "../turbo/mod.ts";
import type { Report } from "./apps/pushing_app.ts";
import { Network, openPage, PageClock } from "./headless_page.ts";
import { connect, directory, serve, until, WITH_PROCESS, within } from "./kit.ts";
import { startApp, startProcess, type TestProcess } from "./processes.ts";
import { numberAfter, RawSocket } from "./raw.ts";

const HOUR = 60 * 60 * 1_000;
const KiB = 1024;
const WAYS = [["back", -2], ["forward", 2]] as const;

// ---- The server's clock

const library = await preloaded();
if (library === undefined) {
  console.log("NOTICE: faketime is not installed, the tests of a clock that is set are skipped");
}
const WITH_FAKETIME = { ignore: WITH_PROCESS.ignore === true || library === undefined };

for (const [way, hours] of WAYS) {
  Deno.test(
    `main.ts shows new readings when the clock is set ${way} two hours, and drains as ever`,
    WITH_FAKETIME,
    async () => {
      using clock = new ProcessClock();
      const args = ["--port=0", "--hostname=127.0.0.1", "--interval=0.2", "--drain=3"];
      await using app = await startApp(args, { env: clock.env });
      await using stuck = await RawSocket.upgrade(app.port); // it never answers a close
      await using stack = new AsyncDisposableStack();
      const clients = await Promise.all(Array.from({ length: 20 }, async () => {
        return stack.use(await connect(app.url));
      }));
      const { messages } = clients[0]!;
      await until(() => messages.length >= 2, "the box is pushed");
      clock.set(hours);
      const isSet = (html: string) => Math.abs(readAt(html) - Date.now() - hours * HOUR) < HOUR / 2;
      await until(() => messages.filter(isSet).length >= 2, "readings under the new time");
      const times = messages.filter(isSet).map(readAt);
      assert.deepEqual(times, times.toSorted((a, b) => a - b));
      assert(isSet(await (await fetch(app.url)).text()), "the page is as new");
      clock.set(0);
      app.child.kill("SIGTERM");
      await app.event(/^Stopping/);
      clock.set(hours);
      assert.equal(await within(app.ended, "the app to end"), 0);
      const closes = await within(Promise.all(clients.map(({ closed }) => closed)), "all to end");
      assert.deepEqual([...new Set(closes.map(({ code }) => code))], [1012], "each is closed");
      assert.equal(await stuck.closeCode(), 1012);
    },
  );
}

for (const [way, hours] of WAYS) {
  Deno.test(
    `Turbo drops a stuck reader when the clock is set ${way} two hours, and keeps one that is behind`,
    WITH_FAKETIME,
    async () => {
      using clock = new ProcessClock();
      const args = ["127.0.0.1", "2000"];
      await using app = startProcess("apps/pushing_app.ts", args, { env: clock.env });
      const { url } = JSON.parse(await app.line(/^{/)) as Report;
      const port = Number(new URL(url).port);
      await using reading = await RawSocket.upgrade(port);
      await using _stuck = await RawSocket.upgrade(port);
      await app.tell(`push ${64 * KiB} 100`);
      await until(() => lastReport(app).buffered > 2 * 64 * KiB, "both are behind");
      clock.set(hours);
      const sizes = app.lines.length;
      const { pushed } = lastReport(app);
      await Promise.all([
        numberAfter(reading, pushed + 100),
        app.line(/"size":1,/, { from: sizes }),
      ]);
      assert.equal(lastReport(app).size, 1);
    },
  );
}

// ---- The browser's clock

for (
  const [name, seconds, way] of [
    ["is set back two hours", 35, -2 * HOUR],
    ["goes on for two hours while the machine sleeps", 0, 2 * HOUR],
  ] as const
) {
  Deno.test(`A page notices a dead connection when its clock ${name}`, async () => {
    const turbo = new Turbo();
    let opened = 0;
    await using server = serve((request) => {
      opened++;
      return turbo.connect(request);
    });
    const [clock, network] = [new PageClock(), new Network()];
    await using stack = new AsyncDisposableStack();
    const page = openPage(server.url, turbo.cursor, { clock, network });
    stack.defer(async () => {
      page.close();
      await until(() => page.isClosed && turbo.size === 0, "the sockets are closed");
    });
    await network.settle();
    clock.run(100); // a gap may follow the marker
    assert.equal(page.state, "open");
    const runTo = (end: number) => {
      while (clock.next <= end) clock.runNext();
    };
    runTo(20_000);
    turbo.push(replace("box", html`<b id="box"></b>`));
    await until(() => page.shown !== "", "it hears of the server");
    clock.setBy = way;
    runTo(20_000 + seconds * 1_000);
    assert.deepEqual([page.state, opened], ["open", 1], "the server may be silent as long");
    runTo(clock.now + 5_000);
    assert.notEqual(page.state, "open");
    while (opened === 1) {
      clock.runNext();
      await network.settle();
    }
    clock.run(100);
    assert.equal(page.state, "open");
  });
}

/** The wall clock of a process that is started with `env`. Its monotonic clock is unchanged. */
class ProcessClock implements Disposable {
  readonly env: Readonly<Record<string, string>>;
  readonly #folder = directory();
  readonly #file = `${this.#folder.path}/offset`;

  constructor() {
    this.set(0);
    this.env = {
      LD_PRELOAD: library!,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
  }

  /** Sets it some hours off the real time. */
  set(hours: number): void {
    const next = `${this.#file}.next`; // renamed, so that it is never read half-written
    Deno.writeTextFileSync(next, `${hours < 0 ? "" : "+"}${hours * HOUR / 1_000}\n`);
    Deno.renameSync(next, this.#file);
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }
}

/** The path of the library of Debian's `faketime`, which replaces the system's clock. */
async function preloaded(): Promise<string | undefined> {
  try {
    const args = ["-m", "-f", "+0", "printenv", "LD_PRELOAD"];
    const { stdout } = await new Deno.Command("faketime", { args, stderr: "null" }).output();
    return new TextDecoder().decode(stdout).trim() || undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The time of the reading in a box, in milliseconds since 1970. */
function readAt(html: string): number {
  return Date.parse(/<time datetime="([^"]+)"/.exec(html)?.[1] ?? "");
}

function lastReport({ lines }: TestProcess): Report {
  return JSON.parse(lines.findLast((line) => line.startsWith("{"))!);
}
