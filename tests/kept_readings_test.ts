import assert from "node:assert/strict";
import { History } from "../server/history.ts";
import { saveHistory } from "../server/history_file.ts";
import { directory, WITH_PROCESS, within } from "./kit.ts";
import { startApp } from "./processes.ts";

const MINUTE = 60_000;

Deno.test(
  "main.ts --state keeps the readings over a clean restart and over kill -9, with a hole",
  WITH_PROCESS,
  async () => {
    using at = directory();
    Deno.mkdirSync(`${at.path}/state`);
    const file = `${at.path}/state/log.readings`;
    const earlier = new History({ interval: 5_000 });
    const old = Date.now() - 30 * MINUTE;
    earlier.add(123.25, old - 5_000);
    earlier.add(123.5, old);
    saveHistory(file, earlier);
    const args = ["--port=0", "--hostname=127.0.0.1", "--state=state/log"];
    for (const signal of ["SIGTERM", "SIGKILL", "SIGTERM"] as const) {
      const started = Date.now();
      await using app = await startApp(args, { cwd: at.path });
      const { machines: [{ hour }] } = await (await fetch(`${app.url}/load.json`)).json();
      const { startsAt, highest } = hour as { startsAt: string; highest: (number | null)[] };
      const step = Math.floor((old - Date.parse(startsAt)) / MINUTE);
      assert.equal(highest[step], 123.5, signal);
      assert.deepEqual(new Set(highest.slice(step + 1, -2)), new Set([null]), "a hole");
      assert.notEqual(highest.at(-1), null);
      app.child.kill(signal);
      await within(app.ended, "the app to end");
      const files = [...Deno.readDirSync(`${at.path}/state`)].map(({ name }) => name).sort();
      assert.deepEqual(files, signal === "SIGKILL" ? ["log.readings"] : ["log", "log.readings"]);
      const [latest] = JSON.parse(Deno.readTextFileSync(file)).latest;
      assert.equal(latest >= started, signal === "SIGTERM", "a clean stop writes its own readings");
      assert.equal(Deno.statSync(file).mode! & 0o777, 0o600);
    }
  },
);
