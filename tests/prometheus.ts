/**
 * The text format of Prometheus: a strict parser, and Prometheus' own.
 *
 * @module
 */
import assert from "node:assert/strict";
import { directory, QUICK, within } from "./kit.ts";
import { succeeds } from "./processes.ts";

/** A metric in the text. */
export interface Family {
  /** Its type. */
  readonly type: string;
  /** Its help, as it is escaped. */
  readonly help: string;
  /** Its samples: the name with the labels as they stand in the text, and the value. */
  readonly samples: ReadonlyMap<string, number>;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"`;
const NUMBER = String.raw`[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN`;
const HEAD = new RegExp(
  String.raw`^# HELP (${NAME}) ((?:[^\\\n]|\\[\\n])*)\n# TYPE \1 (counter|gauge|histogram)$`,
);
const SAMPLE = new RegExp(`^((${NAME})(?:{(${LABEL}(?:,${LABEL})*)})?) (${NUMBER})$`);

/** Parses a text, and throws at anything that the format or good use of it does not allow. */
export function parsePrometheus(text: string): Map<string, Family> {
  assert(text.endsWith("\n") && !text.includes("\r"), "each line ends with a line feed");
  const families = new Map<string, Family>();
  for (const part of text.split(/^(?=# HELP)/m)) {
    const [help, type, ...lines] = part.slice(0, -1).split("\n");
    const [, name = "", words = "", kind = ""] = HEAD.exec(`${help}\n${type}`) ??
      assert.fail(`no head of a metric: ${help}\n${type}`);
    assert(!families.has(name), `${name} is there twice`);
    assert.equal(kind === "counter", name.endsWith("_total"), `${name} is a ${kind}`);
    const samples = new Map<string, number>();
    for (const line of lines) {
      const [, series = "", base, labels = "", value = ""] = SAMPLE.exec(line) ??
        assert.fail(`not a sample: ${line}`);
      const bases = kind === "histogram"
        ? ["_bucket", "_sum", "_count"].map((end) => name + end)
        : [name];
      assert(bases.includes(base!), `${line} among the samples of ${name}`);
      const keys = labels.match(/[a-zA-Z0-9_]+(?==")/g) ?? [];
      assert.equal(new Set(keys).size, keys.length, `a label twice: ${line}`);
      assert(!samples.has(series), `a series twice: ${line}`);
      samples.set(series, Number(value.replace("Inf", "Infinity")));
    }
    if (kind === "histogram") checkHistogram(name, samples);
    families.set(name, { type: kind, help: words, samples });
  }
  return families;
}

/** Buckets are cumulative and in order, and the last one has all values. */
function checkHistogram(name: string, samples: ReadonlyMap<string, number>): void {
  let before = { bound: -Infinity, count: 0, rest: "" };
  for (const [series, count] of samples) {
    const [, head = "", bound] = /^(.*_bucket{.*?,?)le="([^"]+)"}$/.exec(series) ?? [];
    if (bound === undefined) continue;
    if (head !== before.rest) before = { bound: -Infinity, count: 0, rest: head };
    const value = Number(bound.replace("+Inf", "Infinity"));
    assert(value > before.bound && count >= before.count, `${series} ${count} after its neighbour`);
    before = { bound: value, count, rest: head };
    if (value < Infinity) continue;
    const labels = head.slice(`${name}_bucket{`.length).replace(/,$/, "");
    const suffix = labels === "" ? "" : `{${labels}}`;
    assert.equal(samples.get(`${name}_count${suffix}`), count, series);
    assert(samples.has(`${name}_sum${suffix}`), series);
  }
}

const HAS_PROMTOOL = !QUICK && await succeeds("promtool", "--version");
if (!HAS_PROMTOOL && !QUICK) {
  console.log("NOTICE: promtool (prometheus) is not installed, its tests are skipped");
}

/** Options of a test with Prometheus' own parser. */
export const WITH_PROMTOOL: Pick<Deno.TestDefinition, "ignore"> = { ignore: !HAS_PROMTOOL };

/** Lets Prometheus check a text that it would scrape, its rules, or its configuration. */
export async function promtool(kind: "metrics" | "rules" | "config", text: string): Promise<void> {
  using folder = directory();
  const path = `${folder.path}/file.yml`;
  await Deno.writeTextFile(path, text);
  const [program = "", ...args] = kind === "metrics"
    ? ["sh", "-c", 'exec promtool check metrics <"$0"', path]
    : ["promtool", "check", kind, path];
  const checking = new Deno.Command(program, { args }).output();
  const { code, stdout, stderr } = await within(checking, "promtool to end");
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, `${said}\n${text}`);
  if (kind === "metrics") assert.equal(said, "", text);
}
