/**
 * Mutants of the replica: each changes one place in it, which the tests must notice.
 *
 * @module
 */
import { importsOfProject } from "../client_model/import_map.ts";
import type { Replica } from "../replica.ts";

/** One change: the mistake that it makes, and the text that is replaced in a file. */
export interface Mutant {
  readonly what: string;
  readonly file: "replica" | "outbox" | "peers" | "silence" | "stream_life";
  readonly from: string;
  readonly to: string;
}

/** Loads a replica with some mistakes, all in one file. */
export async function mutated(mutants: readonly Mutant[]): Promise<typeof Replica> {
  const { file } = mutants[0]!;
  const [copy, main] = await Promise.all(
    [1, 2].map(() => Deno.makeTempFile({ suffix: ".ts" })),
  ) as [string, string];
  try {
    await Deno.writeTextFile(copy, await changed(file, mutants));
    const path = new URL(`../${file}.ts`, import.meta.url).href;
    const text = (await changed("replica", [])).replace(path, `file://${copy}`);
    await Deno.writeTextFile(main, text);
    return (await import(`file://${file === "replica" ? copy : main}`)).Replica;
  } finally {
    await Promise.all([copy, main].map((path) => Deno.remove(path)));
  }
}

/** The text of a file with some mistakes, which can be imported from any directory. */
async function changed(file: Mutant["file"], mutants: readonly Mutant[]): Promise<string> {
  let text = await Deno.readTextFile(new URL(`../${file}.ts`, import.meta.url));
  for (const { what, from, to } of mutants) {
    if (text.split(from).length !== 2) throw new Error(`Out of date: ${what}`);
    text = text.replace(from, () => to);
  }
  const pathOf = (name: string) => new URL(`../${name}.ts`, import.meta.url);
  return text.replaceAll(/from "\.\/(\w+)\.ts"/g, (_, name) => `from "${pathOf(name)}"`);
}

/** The mutants that the tests of the replica do not notice. */
export async function survivorsOf(mutants: readonly Mutant[], runs: number): Promise<string[]> {
  const directory = await Deno.makeTempDir();
  const imports = await importsOfProject();
  const survivors: string[] = [];
  try {
    for (const [index, mutant] of [undefined, ...mutants].entries()) {
      const [copy, map] = [`${directory}/${index}.ts`, `${directory}/${index}.json`];
      const all: Record<string, string> = { ...imports };
      if (mutant) {
        await Deno.writeTextFile(copy, await changed(mutant.file, [mutant]));
        all[new URL(`../${mutant.file}.ts`, import.meta.url).href] = `file://${copy}`;
      }
      await Deno.writeTextFile(map, JSON.stringify({ imports: all }));
      const isFine = await passes(map, runs);
      if (!mutant && !isFine) throw new Error("The tests fail without a change");
      if (mutant && isFine) survivors.push(mutant.what);
      if (import.meta.main && mutant && isFine) console.log(`not noticed: ${mutant.what}`);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  return survivors;
}

/** Whether the tests pass with the modules of an import map. A mutant that times out is noticed. */
async function passes(importMap: string, runs: number): Promise<boolean> {
  const files = ["replica", "outbox", "peers", "replica_model"];
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "-A", "--no-check", "--fail-fast", `--import-map=${importMap}`],
      ...["--lock=tests/deno.lock", "--filter=/^(Replica|Outbox|Peers)/"],
      ...files.map((file) => `turbo/${file}_test.ts`),
    ],
    cwd: new URL("../../", import.meta.url),
    env: { RUNS: String(runs) },
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.timeout(120_000),
  }).output();
  return success;
}

/** Mutants that no test notices, because they only cost time. */
export const UNNOTICED: ReadonlySet<string> = new Set(["what is contested is looked at again"]);

/** All mutants. Each text occurs once in its file. */
export const MUTANTS: readonly Mutant[] = [
  {
    what: "a place is not looked for",
    file: "replica",
    from: "const place = this.#place;\n    this.#look",
    to: "const place = undefined as Place | undefined;\n    this.#look",
  },
  {
    what: "a node that was alone begins no life",
    file: "replica",
    from: "if (this.#isLocal || !newest) return this.#birth(newest?.epoch);",
    to: "if (!newest) return this.#birth(undefined);",
  },
  {
    what: "the tag of the newest entry is not compared",
    file: "stream_life",
    from: 'return isSame ? "same" : "other";',
    to: 'return "same";',
  },
  {
    what: "the attempt of the newest entry is not compared",
    file: "stream_life",
    from: " && first.attempt === tag.attempt",
    to: "",
  },
  {
    what: "an earlier life is loaded",
    file: "replica",
    from: "newest.epoch > look.place.epoch) return this.#load();",
    to: "newest.epoch !== look.place.epoch) return this.#load();",
  },
  {
    what: "a hole is a new life",
    file: "replica",
    from: 'else if (found === "hole") this.#load();',
    to: 'else if (found === "hole") this.#birth(newest.epoch);',
  },
  {
    what: "a lost place is loaded",
    file: "replica",
    from: 'if (found === "other") this.#birth(newest.epoch);',
    to: 'if (found === "other") this.#load();',
  },
  {
    what: "nobody looks again",
    file: "replica",
    from: "this.#now - this.#lookedAt >= LOOK_INTERVAL",
    to: "false",
  },
  {
    what: "a look that finds another stream changes nothing",
    file: "replica",
    from: 'this.#reconnect("the stream is not the one it was");',
    to: "void 0;",
  },
  {
    what: "a newer life found by a look is another stream",
    file: "replica",
    from: "const isNewer = newest && look && newest.epoch > look.place.epoch;",
    to: "const isNewer = false;",
  },
  {
    what: "an epoch does not grow past the one seen",
    file: "replica",
    from: "Math.max(byClock, (seen ?? 0) + 1, (this.#place?.epoch ?? 0) + 1)",
    to: "Math.max(byClock, (this.#place?.epoch ?? 0) + 1)",
  },
  {
    what: "an epoch does not grow past the one known",
    file: "replica",
    from: "Math.max(byClock, (seen ?? 0) + 1, (this.#place?.epoch ?? 0) + 1)",
    to: "Math.max(byClock, (seen ?? 0) + 1)",
  },
  {
    what: "a look of before a load counts",
    file: "replica",
    from: 'if (this.#phase === "loading") return; // the reply to a look that was sent before\n',
    to: "",
  },
  {
    what: "a hole that is read is passed over",
    file: "replica",
    from: "if (!isBirth && !isNext) return this.#load();",
    to: "",
  },
  {
    what: "what takes a used name is a birth",
    file: "replica",
    from: "if (isBirth && !isTrueBirth(entry)) return this.#birth(entry.epoch);\n",
    to: "",
  },
  {
    what: "what takes a used name is loaded",
    file: "replica",
    from: "if (first.position === 0 && !isTrueBirth(first)) return this.#birth(first.epoch);\n",
    to: "",
  },
  {
    what: "all that is loaded counts",
    file: "replica",
    from: "const whole = newestRun(entries);",
    to: "const whole = entries;",
  },
  {
    what: "bans that are loaded do not count",
    file: "replica",
    from: 'if (content.kind === "disconnect" && isAfter(place, known!)) {',
    to: "if (false) {",
  },
  {
    what: "bans that were known count again",
    file: "replica",
    from: 'content.kind === "disconnect" && isAfter(place, known!)',
    to: 'content.kind === "disconnect"',
  },
  {
    what: "a load restarts no page",
    file: "replica",
    from: '    this.#do({ type: "restart" });\n    this.#outbox.contestAll();',
    to: "    this.#outbox.contestAll();",
  },
  {
    what: "a load contests nothing",
    file: "replica",
    from: "    this.#outbox.contestAll();\n    this.#mustSayAll = this.#mustAsk = true;",
    to: "    this.#mustSayAll = this.#mustAsk = true;",
  },
  {
    what: "a load says nothing",
    file: "replica",
    from: "this.#mustSayAll = this.#mustAsk = true;",
    to: "this.#mustAsk = true;",
  },
  {
    what: "a load asks nothing",
    file: "replica",
    from: "this.#mustSayAll = this.#mustAsk = true;",
    to: "this.#mustSayAll = true;",
  },
  {
    what: "a load leaves the node alone",
    file: "replica",
    from: "    this.#isLocal = false;\n",
    to: "",
  },
  {
    what: "numbers of an earlier life count after a load",
    file: "replica",
    from: "if (first.epoch !== known?.epoch) this.#peers.forgetNumbers();",
    to: "",
  },
  {
    what: "numbers of an earlier life count after a birth",
    file: "replica",
    from: "    this.#catchUp = 0;\n    this.#peers.forgetNumbers();",
    to: "    this.#catchUp = 0;",
  },
  {
    what: "what was sent is not sent again",
    file: "replica",
    from: "    this.#catchUp = catchUp;\n    this.#outbox.resend();",
    to: "    this.#catchUp = catchUp;",
  },
  {
    what: "what is sent before it has caught up",
    file: "replica",
    from: 'return this.#phase === "following" && this.#place!.position >= this.#catchUp;',
    to: 'return this.#phase === "following";',
  },
  {
    what: "a new life is not caught up with",
    file: "replica",
    from: "    this.#catchUp = 0;\n",
    to: "",
  },
  {
    what: "a new life restarts no page",
    file: "replica",
    from: '    this.#do({ type: "restart" });\n    this.#catchUp = 0;',
    to: "    this.#catchUp = 0;",
  },
  {
    what: "a new life lets the pushes of the old one go",
    file: "replica",
    from: "    this.#hasAsked = false;\n    this.#outbox.resend();",
    to: "    this.#hasAsked = false;",
  },
  {
    what: "a new life contests nothing",
    file: "replica",
    from: "    this.#outbox.contestAll();\n    this.#mustSayAll = true;",
    to: "    this.#mustSayAll = true;",
  },
  {
    what: "a new life says nothing",
    file: "replica",
    from: "    this.#outbox.contestAll();\n    this.#mustSayAll = true;",
    to: "    this.#outbox.contestAll();",
  },
  {
    what: "answers of an old life count",
    file: "replica",
    from: "    this.#adds.clear();\n    this.#hasAsked = false;\n    this.#outbox.resend();",
    to: "    this.#hasAsked = false;\n    this.#outbox.resend();",
  },
  {
    what: "what comes twice is delivered twice",
    file: "replica",
    from: "if (isTwice || (",
    to: "if (false || (",
  },
  {
    what: "own entries stay in the outbox",
    file: "replica",
    from: "const item = isOwn && n > 0 ? this.#outbox.take(n) : undefined;",
    to: "const item = undefined as Item | undefined;",
  },
  {
    what: "nobody notices what was overtaken",
    file: "replica",
    from: "if (item && this.#outbox.hasOlder(item)) this.#isOvertaken = true;",
    to: "",
  },
  {
    what: "what is overtaken is overtaken for ever",
    file: "replica",
    from: "    this.#isLocal = true;\n    this.#isOvertaken = false;",
    to: "    this.#isLocal = true;",
  },
  {
    what: "foreign entries contest nothing",
    file: "replica",
    from: "if (!isOwn) this.#outbox.contest(content);",
    to: "",
  },
  {
    what: "own entries contest",
    file: "replica",
    from: "if (!isOwn) this.#outbox.contest(content);",
    to: "this.#outbox.contest(content);",
  },
  {
    what: "what is contested is not pushed again",
    file: "replica",
    from: "if (item?.isContested) this.#pushAgain(item);",
    to: "",
  },
  {
    what: "what is contested is pushed again although it is the same",
    file: "replica",
    from: " || html === content.html) return;",
    to: ") return;",
  },
  {
    what: "a successor does not cover",
    file: "replica",
    from: "|| this.#outbox.hasSuccessor(item)) return;",
    to: ") return;",
  },
  {
    what: "a ban of the time alone reaches no other",
    file: "replica",
    from: "this.#oweTo(content.name);",
    to: "",
  },
  {
    what: "a ban that is owed sends away once more",
    file: "replica",
    from: "if (deliver && !(item && this.#owed.has(item))) {",
    to: "if (deliver) {",
  },
  {
    what: "a ban sends nobody away",
    file: "replica",
    from: "if (deliver && !(item && this.#owed.has(item))) {",
    to: "if (false) {",
  },
  {
    what: "who is asked says nothing",
    file: "replica",
    from: "else if (content.asks && deliver) this.#mustSayAll = true;",
    to: "",
  },
  {
    what: "the question is forgotten with its connection",
    file: "replica",
    from: "    this.#hasAsked = false;\n    this.#retryAt",
    to: "    this.#retryAt",
  },
  {
    what: "the question is asked for ever",
    file: "replica",
    from: "if (content.asks && isOwn) this.#mustAsk = false;",
    to: "if (content.asks && isOwn) void 0;",
  },
  {
    what: "a node that was taken for gone says nothing",
    file: "replica",
    from: "if (content.node === this.#options.node && deliver) this.#mustSayAll = true;",
    to: "",
  },
  {
    what: "a node that is gone stays",
    file: "replica",
    from: "if (node === content.node || !deliver) this.#peers.left(content.node);\n" +
      "        else this.#peers.lost(content.node);\n",
    to: "",
  },
  {
    what: "a node that is lost for good costs nothing",
    file: "replica",
    from: "if (this.#peers.takeLost() && this.#isCurrent)",
    to: "if (false)",
  },
  {
    what: "one that has left in order is lost",
    file: "replica",
    from: "node === content.node || !deliver",
    to: "!deliver",
  },
  {
    what: "nobody says that it is there",
    file: "replica",
    from: 'this.#add({ kind: "beat" });',
    to: "void 0;",
  },
  {
    what: "what is refused is not sent again",
    file: "replica",
    from: "if (item) this.#outbox.refuse(item);",
    to: "",
  },
  {
    what: "what is refused is sent again at once",
    file: "replica",
    from: "      this.#resendAt = this.#now + RETRY;\n",
    to: "",
  },
  {
    what: "a refusal stays",
    file: "replica",
    from: 'if (reply.result === "added") this.#refused = undefined;',
    to: 'if (reply.result === "added") void 0;',
  },
  {
    what: "a refusal is never seen",
    file: "replica",
    from: "this.#refused ??= { since: this.#now, reason: reply.reason };",
    to: "",
  },
  {
    what: "a stream that is gone is not noticed by a push",
    file: "replica",
    from: 'this.#reconnect("the stream is gone");',
    to: "void 0;",
  },
  {
    what: "a stream that was gone before is gone",
    file: "replica",
    from: 'reply.result === "gone" && isKnown',
    to: 'reply.result === "gone"',
  },
  {
    what: "silence is never too long",
    file: "replica",
    from: "if (isOpen && isSilent) this",
    to: "if (false) this",
  },
  {
    what: "a stop counts",
    file: "replica",
    from: "this.#now += Math.min(now - (this.#steppedAt ?? now), MAX_STEP);",
    to: "this.#now = now;",
  },
  {
    what: "nothing goes to this node's pages while the server is closed",
    file: "replica",
    from: "if (isClosed && (this.#isLocal || this.#isDown)) return this.#reason;",
    to: "",
  },
  {
    what: "what waits goes to this node's pages on the way back",
    file: "replica",
    from: "if (isClosed && (this.#isLocal || this.#isDown)) return this.#reason;",
    to: "if (this.#isLocal || this.#isDown) return this.#reason;",
  },
  {
    what: "no server is too slow",
    file: "replica",
    from: 'if (this.#now - since > PATIENCE * hold) return "it is too slow";',
    to: "",
  },
  {
    what: "never too much waits",
    file: "replica",
    from: 'return isTooMuch && !this.#isCurrent ? "too much waits for it" : undefined;',
    to: "return undefined;",
  },
  {
    what: "what is refused for long waits",
    file: "replica",
    from: "if (this.#refused && this.#now - this.#refused.since > hold) {",
    to: "if (false) {",
  },
  {
    what: "the copy goes on under its name",
    file: "replica",
    from: 'if (!this.#isLocal && this.#place) this.#do({ type: "fork" });',
    to: "",
  },
  {
    what: "a node goes alone with its connections",
    file: "replica",
    from: "      this.#reconnect(reason);\n      // A server",
    to: "      // A server",
  },
  {
    what: "what nodes say waits while the server is away",
    file: "replica",
    from: "else if (this.#outbox.size > 0) this.#hearAlone();",
    to: "",
  },
  {
    what: "what was said alone is not said again",
    file: "replica",
    from: '      case "say":\n        this.#mustSayAll = true;\n',
    to: '      case "say":\n',
  },
  {
    what: "it is said that it is back each time",
    file: "replica",
    from: 'if (reason === undefined && this.#away !== undefined) this.#notice("is back");',
    to: 'if (reason === undefined) this.#notice("is back");',
  },
  {
    what: "it is away for the time until it follows",
    file: "replica",
    from: "return this.#isDown || isOnItsWay ? this.#reason : undefined;",
    to: "return this.#isDown ? this.#reason : undefined;",
  },
  {
    what: "it tries again at once",
    file: "replica",
    from: "this.#retryAt = this.#now + (this.#tries++ === 0 ? FIRST_RETRY : RETRY);",
    to: "this.#retryAt = this.#now;",
  },
  {
    what: "one that leaves says that it is there",
    file: "replica",
    from: "if (this.#isCurrent && !this.#isLeaving) {",
    to: "if (this.#isCurrent) {",
  },
  {
    what: "one that leaves says all",
    file: "replica",
    from: "    if (this.#isLeaving) return;\n",
    to: "",
  },
  {
    what: "what has waited is sent in any order",
    file: "outbox",
    from: ".sort((a, b) => a.n - b.n)",
    to: "",
  },
  {
    what: "what has come back is sent",
    file: "outbox",
    from: ".filter(({ isDone }) => !isDone).sort",
    to: ".filter(() => true).sort",
  },
  {
    what: "a number is known again and again",
    file: "peers",
    from: "const isTwice = n > 0 && n <= peer.highest;",
    to: "const isTwice = false;",
  },
  {
    what: "what has no number comes twice",
    file: "peers",
    from: "const isTwice = n > 0 && n <= peer.highest;",
    to: "const isTwice = n <= peer.highest;",
  },
  {
    what: "the highest number falls",
    file: "peers",
    from: "peer.highest = Math.max(peer.highest, n);",
    to: "peer.highest = n;",
  },
  {
    what: "a node is met where it only pushes",
    file: "peers",
    from: "interval: undefined,\n",
    to: "interval: 1_000,\n",
  },
  {
    what: "this node is one of the others",
    file: "peers",
    from: 'if (node !== this.#options.node && node !== "") this.#peer',
    to: 'if (node !== "") this.#peer',
  },
  {
    what: "silence is told again and again",
    file: "peers",
    from: "peer.heardAt = this.#time; // reported again only after as long a silence",
    to: "",
  },
  {
    what: "time goes on while nobody can be heard",
    file: "peers",
    from: "if (!listens) return [];\n    this.#time += elapsed;",
    to: "this.#time += elapsed;\n    if (!listens) return [];",
  },
  {
    what: "those that only push are remembered for ever",
    file: "peers",
    from: "this.#peers.delete(node);",
    to: "",
  },
  {
    what: "this node's numbers are forgotten",
    file: "peers",
    from: " && node !== this.#options.node;",
    to: ";",
  },
  {
    what: "a node that is gone has its numbers forgotten",
    file: "peers",
    from: "if (peer) peer.interval = undefined;",
    to: "this.#peers.delete(node);",
  },
  {
    what: "another audience contests",
    file: "outbox",
    from: "if (!meet(item.content as StreamsContent, foreign)) continue;",
    to: "",
  },
  {
    what: "other elements contest",
    file: "outbox",
    from: "elements ? [...elements, ANY] : [...this.#uncontested.keys()]",
    to: "[...this.#uncontested.keys()]",
  },
  {
    what: "what is for any element contests nothing",
    file: "outbox",
    from: "elements ? [...elements, ANY] : [...this.#uncontested.keys()]",
    to: "elements ? [...elements, ANY] : []",
  },
  {
    what: "what is for any element is not contested",
    file: "outbox",
    from: "elements ? [...elements, ANY] : ",
    to: "elements ? [...elements] : ",
  },
  {
    what: "what is contested is looked at again",
    file: "outbox",
    from: "        item.isContested = true;\n        this.#forget(item);",
    to: "        item.isContested = true;",
  },
  {
    what: "what has come back is kept",
    file: "outbox",
    from: "    if (!item.isContested) this.#forget(item);\n",
    to: "",
  },
  {
    what: "what has come back covers",
    file: "outbox",
    from: "if (key !== undefined && this.#newest.get(key) === item) this.#newest.delete(key);",
    to: "",
  },
  {
    what: "a later one that has come back takes an earlier one with it",
    file: "outbox",
    from: "if (key !== undefined && this.#newest.get(key) === item) this",
    to: "if (key !== undefined) this",
  },
  {
    what: "an earlier push covers",
    file: "outbox",
    from: "newest !== undefined && newest.n > n",
    to: "newest !== undefined",
  },
  {
    what: "a push for other readers covers",
    file: "outbox",
    from: "JSON.stringify([[...targets].sort(), audienceKey(content.to)])",
    to: "JSON.stringify([...targets].sort())",
  },
  {
    what: "a push for all but one page covers",
    file: "outbox",
    from: " || content.except !== undefined) return undefined;",
    to: ") return undefined;",
  },
  {
    what: "bytes are counted for ever",
    file: "outbox",
    from: "    this.#bytes -= sizeOf(item.content);\n",
    to: "",
  },
  {
    what: "a load that brings nothing new is the one known",
    file: "replica",
    from: "if (!look || newest.epoch > look.place.epoch) return this.#load();",
    to: "if (!look) return this.#load();",
  },
  {
    what: "what waits is sent although it was overtaken",
    file: "replica",
    from: "if (this.#isCurrent && !this.#isOvertaken) {",
    to: "if (this.#isCurrent) {",
  },
  {
    what: "a stop is no stop for others",
    file: "replica",
    from: "const MAX_STEP = 250;",
    to: "const MAX_STEP = 10_000;",
  },
  {
    what: "a silent read is not noticed",
    file: "replica",
    from:
      'this.#silence.ofCommands(this.#now) > patience ||\n      this.#phase === "following" && this.#silence.ofRead(this.#now) > patience;',
    to: "this.#silence.ofCommands(this.#now) > patience;",
  },
  {
    what: "a silent command is not noticed",
    file: "replica",
    from: "this.#silence.ofCommands(this.#now) > patience ||",
    to: "",
  },
  {
    what: "a server that says nothing makes all others gone",
    file: "replica",
    from: "this.#isCurrent && this.#silence.ofRead(this.#now) <= MAX_QUIET",
    to: "this.#isCurrent",
  },
  {
    what: "what waits, waits although nothing is heard",
    file: "replica",
    from: "if (Math.min(this.#silence.total(this.#now), this.#now - since) > this.#hold) {",
    to: "if (false) {",
  },
  {
    what: "a slow server is silent",
    file: "replica",
    from: "if (Math.min(this.#silence.total(this.#now), this.#now - since) > this.#hold) {",
    to: "if (this.#now - since > this.#hold) {",
  },
  {
    what: "one that was too slow is tried at once",
    file: "replica",
    from: "if (this.#silence.total(this.#now) <= hold) this.#retryAt = this.#now + hold;",
    to: "",
  },
  {
    what: "one that was silent is tried late",
    file: "replica",
    from: "if (this.#silence.total(this.#now) <= hold) this.#retryAt = this.#now + hold;",
    to: "this.#retryAt = this.#now + hold;",
  },
  {
    what: "what was quiet before a push is silence after it",
    file: "replica",
    from: "Math.min(this.#silence.total(this.#now), this.#now - since)",
    to: "this.#silence.total(this.#now)",
  },
  {
    what: "commands that are answered are counted for ever",
    file: "silence",
    from: "    this.#unanswered--;\n",
    to: "",
  },
  {
    what: "an answer is no sign that it gets on",
    file: "silence",
    from: "    this.#unanswered--;\n    this.#answeredAt = now;",
    to: "    this.#unanswered--;",
  },
  {
    what: "commands of before are waited for",
    file: "silence",
    from: "    this.#unanswered = 0;\n  }",
    to: "  }",
  },
  {
    what: "a command that waits is forgotten for the next one",
    file: "silence",
    from: "else if (this.#unanswered++ === 0) this.#answeredAt = now;",
    to: "else if (this.#unanswered++ >= 0) this.#answeredAt = now;",
  },
  {
    what: "a hole is another stream",
    file: "stream_life",
    from: 'if (first.position > place.position) return "hole";\n',
    to: "",
  },
  {
    what: "a hole within a life is loaded",
    file: "stream_life",
    from: "before?.epoch !== epoch || before.position + 1 !== position",
    to: "before?.epoch !== epoch",
  },
  {
    what: "an earlier life is loaded too",
    file: "stream_life",
    from: "before?.epoch !== epoch || before.position + 1 !== position",
    to: "before === undefined || before.epoch === epoch && before.position + 1 !== position",
  },
];

if (import.meta.main) {
  const survivors = await survivorsOf(MUTANTS, Number(Deno.env.get("RUNS") ?? 1_500));
  console.log(`${MUTANTS.length - survivors.length} of ${MUTANTS.length} changes are noticed`);
  for (const what of survivors) console.log(`not noticed: ${what}`);
  Deno.exit(survivors.every((what) => UNNOTICED.has(what)) ? 0 : 1);
}
