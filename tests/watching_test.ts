// What docs/watching.md says.

import assert from "node:assert/strict";
import { createApp } from "../main.ts";
import { type InstrumentOptions, type Meter, type NumberMetric, Turbo } from "../turbo/mod.ts";
import { WITH_PROCESS } from "./kit.ts";
import { collect } from "./otlp.ts";
import { outputOf, startApp } from "./processes.ts";
import { parsePrometheus, promtool, WITH_PROMTOOL } from "./prometheus.ts";

const text = Deno.readTextFileSync(new URL("../docs/watching.md", import.meta.url));

/** The contents of all blocks of a language. */
function blocksOf(language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, "gm"))]
    .map(([, block]) => block!);
}

/** Every metric of the app, as rows of the table of the docs. */
async function rowsOfApp(): Promise<string[]> {
  const rows: string[] = [];
  const make = (kind: string) => (name: string, { unit, description }: InstrumentOptions = {}) => {
    rows.push(`| \`${name}\` | ${kind} | \`${unit}\` | ${description} |`);
    return { addCallback() {}, record() {} };
  };
  const meter: Meter = {
    createObservableCounter: make("counter"),
    createObservableUpDownCounter: make("number"),
    createObservableGauge: make("gauge"),
    createHistogram: make("histogram"),
  };
  await createApp({ turbo: { meter } }).close(0);
  return rows;
}

Deno.test("docs/watching.md has every metric, with its kind, unit and description", async () => {
  const [table] = text.split("\n## The metrics\n")[1]!.trim().split("\n\n");
  const shown = table!.split("\n").slice(2).map((row) => row.replace(/ +/g, " "));
  const rows = await rowsOfApp();
  assert(rows.length > 20);
  assert.deepEqual(shown, rows, `The table has to be:\n${rows.join("\n")}\n`);
});

Deno.test("docs/watching.md names every attribute, and every end that counts as a drop", async () => {
  const turbo = new Turbo();
  const points = turbo.metrics.flatMap((metric) =>
    metric.kind === "histogram" ? [] : metric.read()
  );
  assert(text.includes("| `turbo.connection.end`"));
  const drops = turbo.metrics.find(({ name }) => name === "turbo.server.drops") as NumberMetric;
  const ends = drops.read().map(({ attributes }) => attributes["turbo.drop.reason"]);
  await turbo.close();
  assert(ends.includes("too_slow"));
  for (const name of new Set(points.flatMap(({ attributes }) => Object.keys(attributes)))) {
    assert(text.includes(`| \`${name}\``), name);
  }
  for (const end of ends) assert(text.includes(`\`${end}\``), String(end));
});

Deno.test("The alert rules of docs/watching.md are about metrics that there are", async () => {
  const app = createApp();
  const response = await app.hono.request("/metrics");
  const families = parsePrometheus(await response.text());
  await app.close(0);
  const [, rules] = blocksOf("yaml");
  const expressions = rules!.match(/expr: (?:>\s+[^]*?(?=annotations|for:)|.*)/g)!;
  assert.equal(expressions.length, rules!.match(/alert:/g)!.length);
  for (const expression of expressions) {
    const names = expression.match(/\b(?:turbo|load|system)_[a-z0-9_]+(?!=)\b(?![a-z_"=])/g)!;
    const metrics = names.filter((name) => !["turbo_drop_reason"].includes(name));
    assert(metrics.length > 0, expression);
    for (const name of metrics) assert(families.has(name), `${name} in ${expression}`);
  }
});

Deno.test({
  name: "Prometheus takes the configuration and the alert rules of docs/watching.md",
  ...WITH_PROMTOOL,
  async fn() {
    const [configuration, rules] = blocksOf("yaml");
    await promtool("config", configuration!);
    await promtool("rules", rules!);
  },
});

Deno.test({
  name: "The commands of docs/watching.md start the app with telemetry, and ask it for metrics",
  ...WITH_PROCESS,
  async fn() {
    const [ask, start, ...others] = blocksOf("sh").map((block) => block.trim());
    assert.deepEqual(others, []);
    await using collector = collect();
    const words = start!.replace("http://localhost:4318", collector.url).split(" ");
    assert.deepEqual(words.splice(-3), ["deno", "task", "start"]);
    const env = Object.fromEntries(words.map((word) => word.split("=")));
    const { OTEL_METRIC_EXPORT_INTERVAL = "" } = collector.env;
    await using app = await startApp(undefined, { env: { ...env, OTEL_METRIC_EXPORT_INTERVAL } });
    await collector.metric("turbo.server.pushes");
    const metrics = await outputOf(ask!.replace("http://localhost:8000", app.url).split(" "));
    assert(parsePrometheus(`${metrics}\n`).has("turbo_server_pushes_total"));
  },
});
