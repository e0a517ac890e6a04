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
  readonly file: "replica" | "outbox" | "peers" | "silence" | "stream_epoch";
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
export const UNNOTICED: ReadonlySet<string> = new Set(["a contested push is watched further"]);

/** All mutants. Each text occurs once in its file. */
export const MUTANTS: readonly Mutant[] = [
  {
    what: "a look does not ask for the place of the copy",
    file: "replica",
    from: "const place = this.#place;\n    this.#look",
    to: "const place = undefined as Place | undefined;\n    this.#look",
  },
  {
    what: "a node that was alone starts no epoch",
    file: "replica",
    from: "if (this.#isLocal || !newest) return this.#birth(newest?.epoch);",
    to: "if (!newest) return this.#birth(undefined);",
  },
  {
    what: "the tag of the newest entry is not compared",
    file: "stream_epoch",
    from: 'return isSame ? "same" : "other";',
    to: 'return "same";',
  },
  {
    what: "the attempt of the newest entry is not compared",
    file: "stream_epoch",
    from: " && first.attempt === tag.attempt",
    to: "",
  },
  {
    what: "an earlier epoch is loaded",
    file: "replica",
    from: "newest.epoch > look.place.epoch) return this.#load();",
    to: "newest.epoch !== look.place.epoch) return this.#load();",
  },
  {
    what: "a hole starts a new epoch",
    file: "replica",
    from: 'else if (found === "hole") this.#load();',
    to: 'else if (found === "hole") this.#birth(newest.epoch);',
  },
  {
    what: "a lost stream is loaded",
    file: "replica",
    from: 'if (found === "other") this.#birth(newest.epoch);',
    to: 'if (found === "other") this.#load();',
  },
  {
    what: "the stream is never looked at again",
    file: "replica",
    from: "this.#now - this.#lookedAt >= LOOK_INTERVAL",
    to: "false",
  },
  {
    what: "a look that finds another stream has no effect",
    file: "replica",
    from: 'this.#reconnect("the stream is not the one it was");',
    to: "void 0;",
  },
  {
    what: "a newer epoch found by a look counts as another stream",
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
    what: "a look from before a load counts",
    file: "replica",
    from: 'if (this.#phase === "loading") return; // the reply to a look that was sent before\n',
    to: "",
  },
  {
    what: "a hole in a read is ignored",
    file: "replica",
    from: "if (!isBirth && !isNext) return this.#load();",
    to: "",
  },
  {
    what: "an entry of a used epoch counts as a birth",
    file: "replica",
    from: "if (isBirth && !isTrueBirth(entry)) return this.#birth(entry.epoch);\n",
    to: "",
  },
  {
    what: "an entry of a used epoch is loaded",
    file: "replica",
    from: "if (first.position === 0 && !isTrueBirth(first)) return this.#birth(first.epoch);\n",
    to: "",
  },
  {
    what: "all loaded entries count",
    file: "replica",
    from: "const whole = newestRun(entries);",
    to: "const whole = entries;",
  },
  {
    what: "loaded disconnects are ignored",
    file: "replica",
    from: 'if (content.kind === "disconnect" && isAfter(place, known!)) {',
    to: "if (false) {",
  },
  {
    what: "known disconnects are repeated",
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
    what: "a load does not state everything",
    file: "replica",
    from: "this.#mustSayAll = this.#mustAsk = true;",
    to: "this.#mustAsk = true;",
  },
  {
    what: "a load does not ask the others",
    file: "replica",
    from: "this.#mustSayAll = this.#mustAsk = true;",
    to: "this.#mustSayAll = true;",
  },
  {
    what: "a node stays alone after a load",
    file: "replica",
    from: "    this.#isLocal = false;\n",
    to: "",
  },
  {
    what: "numbers of an earlier epoch count after a load",
    file: "replica",
    from: "if (first.epoch !== known?.epoch) this.#peers.forgetNumbers();",
    to: "",
  },
  {
    what: "numbers of an earlier epoch count after a birth",
    file: "replica",
    from: "    this.#catchUp = 0;\n    this.#peers.forgetNumbers();",
    to: "    this.#catchUp = 0;",
  },
  {
    what: "pending pushes are not sent again",
    file: "replica",
    from: "    this.#catchUp = catchUp;\n    this.#outbox.resend();",
    to: "    this.#catchUp = catchUp;",
  },
  {
    what: "pushes are sent before the copy has caught up",
    file: "replica",
    from: 'return this.#phase === "following" && this.#place!.position >= this.#catchUp;',
    to: 'return this.#phase === "following";',
  },
  {
    what: "catching up is not reset by a new epoch",
    file: "replica",
    from: "    this.#catchUp = 0;\n",
    to: "",
  },
  {
    what: "a new epoch restarts no page",
    file: "replica",
    from: '    this.#do({ type: "restart" });\n    this.#catchUp = 0;',
    to: "    this.#catchUp = 0;",
  },
  {
    what: "a new epoch loses pending pushes",
    file: "replica",
    from: "    this.#hasAsked = false;\n    this.#outbox.resend();",
    to: "    this.#hasAsked = false;",
  },
  {
    what: "a new epoch contests nothing",
    file: "replica",
    from: "    this.#outbox.contestAll();\n    this.#mustSayAll = true;",
    to: "    this.#mustSayAll = true;",
  },
  {
    what: "a new epoch does not state everything",
    file: "replica",
    from: "    this.#outbox.contestAll();\n    this.#mustSayAll = true;",
    to: "    this.#outbox.contestAll();",
  },
  {
    what: "replies of an old epoch count",
    file: "replica",
    from: "    this.#adds.clear();\n    this.#hasAsked = false;\n    this.#outbox.resend();",
    to: "    this.#hasAsked = false;\n    this.#outbox.resend();",
  },
  {
    what: "repetitions are delivered",
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
    what: "an overtaken push is not noticed",
    file: "replica",
    from: "if (item && this.#outbox.hasOlder(item)) this.#isOvertaken = true;",
    to: "",
  },
  {
    what: "an overtaken push is never settled",
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
    what: "a contested push is not pushed again",
    file: "replica",
    from: "if (item?.isContested) this.#pushAgain(item);",
    to: "",
  },
  {
    what: "a contested push is pushed again though its markup is the same",
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
    what: "a disconnect made alone does not reach the others",
    file: "replica",
    from: "this.#oweTo(content.name);",
    to: "",
  },
  {
    what: "a repeated disconnect disconnects again here",
    file: "replica",
    from: "if (deliver && !(item && this.#owed.has(item))) {",
    to: "if (deliver) {",
  },
  {
    what: "a disconnect disconnects nobody",
    file: "replica",
    from: "if (deliver && !(item && this.#owed.has(item))) {",
    to: "if (false) {",
  },
  {
    what: "a node that is asked states nothing",
    file: "replica",
    from: "else if (content.asks && deliver) this.#mustSayAll = true;",
    to: "",
  },
  {
    what: "a question is not repeated on a new connection",
    file: "replica",
    from: "    this.#hasAsked = false;\n    this.#retryAt",
    to: "    this.#retryAt",
  },
  {
    what: "a question is repeated for ever",
    file: "replica",
    from: "if (content.asks && isOwn) this.#mustAsk = false;",
    to: "if (content.asks && isOwn) void 0;",
  },
  {
    what: "a node that was reported as lost states nothing",
    file: "replica",
    from: "if (content.node === this.#options.node && deliver) this.#mustSayAll = true;",
    to: "",
  },
  {
    what: "a node that has left stays known",
    file: "replica",
    from: "if (node === content.node || !deliver) this.#peers.left(content.node);\n" +
      "        else this.#peers.lost(content.node);\n",
    to: "",
  },
  {
    what: "a lost node causes no refresh",
    file: "replica",
    from: "if (this.#peers.takeLost() && this.#isCurrent)",
    to: "if (false)",
  },
  {
    what: "a node that shut down counts as lost",
    file: "replica",
    from: "node === content.node || !deliver",
    to: "!deliver",
  },
  {
    what: "no heartbeat is sent",
    file: "replica",
    from: 'this.#add({ kind: "beat" });',
    to: "void 0;",
  },
  {
    what: "a refused push is not sent again",
    file: "replica",
    from: "if (item) this.#outbox.refuse(item);",
    to: "",
  },
  {
    what: "a refused push is sent again at once",
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
    what: "a refusal is not noticed",
    file: "replica",
    from: "this.#refused ??= { since: this.#now, reason: reply.reason };",
    to: "",
  },
  {
    what: "a push does not notice that the stream is gone",
    file: "replica",
    from: 'this.#reconnect("the stream is gone");',
    to: "void 0;",
  },
  {
    what: "an old reply counts as a stream that is gone",
    file: "replica",
    from: 'reply.result === "gone" && isKnown',
    to: 'reply.result === "gone"',
  },
  {
    what: "no silence is too long",
    file: "replica",
    from: "if (isOpen && isSilent) this",
    to: "if (false) this",
  },
  {
    what: "time while the process was stopped counts",
    file: "replica",
    from: "this.#now += Math.min(now - (this.#steppedAt ?? now), MAX_STEP);",
    to: "this.#now = now;",
  },
  {
    what: "nothing is delivered alone while there is no connection",
    file: "replica",
    from: "if (isClosed && (this.#isLocal || this.#isDown)) return this.#reason;",
    to: "",
  },
  {
    what: "pending pushes are delivered alone during a reconnect",
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
    what: "no number of waiting pushes is too large",
    file: "replica",
    from: 'return isTooMuch && !this.#isCurrent ? "too much waits for it" : undefined;',
    to: "return undefined;",
  },
  {
    what: "refused pushes wait without end",
    file: "replica",
    from: "if (this.#refused && this.#now - this.#refused.since > hold) {",
    to: "if (false) {",
  },
  {
    what: "the copy continues alone under the same epoch",
    file: "replica",
    from: 'if (!this.#isLocal && this.#place) this.#do({ type: "fork" });',
    to: "",
  },
  {
    what: "a node continues alone without closing its connections",
    file: "replica",
    from: "      this.#reconnect(reason);\n      // A server",
    to: "      // A server",
  },
  {
    what: "statements wait while the server is away",
    file: "replica",
    from: "else if (this.#outbox.size > 0) this.#hearAlone();",
    to: "",
  },
  {
    what: "statements made alone are not repeated",
    file: "replica",
    from: '      case "say":\n        this.#mustSayAll = true;\n',
    to: '      case "say":\n',
  },
  {
    what: "the notice that the server is back is repeated",
    file: "replica",
    from: 'if (reason === undefined && this.#away !== undefined) this.#notice("is back");',
    to: 'if (reason === undefined) this.#notice("is back");',
  },
  {
    what: "the server is not away while the node reconnects",
    file: "replica",
    from: "return this.#isDown || isOnItsWay ? this.#reason : undefined;",
    to: "return this.#isDown ? this.#reason : undefined;",
  },
  {
    what: "reconnecting is not delayed",
    file: "replica",
    from: "this.#retryAt = this.#now + (this.#tries++ === 0 ? FIRST_RETRY : RETRY);",
    to: "this.#retryAt = this.#now;",
  },
  {
    what: "a node that leaves sends heartbeats",
    file: "replica",
    from: "if (this.#isCurrent && !this.#isLeaving) {",
    to: "if (this.#isCurrent) {",
  },
  {
    what: "a node that leaves states everything",
    file: "replica",
    from: "    if (this.#isLeaving) return;\n",
    to: "",
  },
  {
    what: "waiting pushes are sent in any order",
    file: "outbox",
    from: ".sort((a, b) => a.n - b.n)",
    to: "",
  },
  {
    what: "a push that was read back is sent",
    file: "outbox",
    from: ".filter(({ isDone }) => !isDone).sort",
    to: ".filter(() => true).sort",
  },
  {
    what: "no number counts as a repetition",
    file: "peers",
    from: "const isTwice = n > 0 && n <= peer.highest;",
    to: "const isTwice = false;",
  },
  {
    what: "an entry without a number counts as a repetition",
    file: "peers",
    from: "const isTwice = n > 0 && n <= peer.highest;",
    to: "const isTwice = n <= peer.highest;",
  },
  {
    what: "the highest number decreases",
    file: "peers",
    from: "peer.highest = Math.max(peer.highest, n);",
    to: "peer.highest = n;",
  },
  {
    what: "a node that only pushes counts as alive",
    file: "peers",
    from: "interval: undefined,\n",
    to: "interval: 1_000,\n",
  },
  {
    what: "this node counts as one of the others",
    file: "peers",
    from: 'if (node !== this.#options.node && node !== "") this.#peer',
    to: 'if (node !== "") this.#peer',
  },
  {
    what: "silence is reported repeatedly",
    file: "peers",
    from: "peer.heardAt = this.#time; // reported again only after as long a silence",
    to: "",
  },
  {
    what: "time counts while nothing can be heard",
    file: "peers",
    from: "if (!listens) return [];\n    this.#time += elapsed;",
    to: "this.#time += elapsed;\n    if (!listens) return [];",
  },
  {
    what: "nodes that only push are never forgotten",
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
    what: "the numbers of a node that has left are forgotten",
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
    what: "a push for any element contests nothing",
    file: "outbox",
    from: "elements ? [...elements, ANY] : [...this.#uncontested.keys()]",
    to: "elements ? [...elements, ANY] : []",
  },
  {
    what: "a push for any element is not contested",
    file: "outbox",
    from: "elements ? [...elements, ANY] : ",
    to: "elements ? [...elements] : ",
  },
  {
    what: "a contested push is watched further",
    file: "outbox",
    from: "        item.isContested = true;\n        this.#forget(item);",
    to: "        item.isContested = true;",
  },
  {
    what: "a push that was read back is watched further",
    file: "outbox",
    from: "    if (!item.isContested) this.#forget(item);\n",
    to: "",
  },
  {
    what: "a push that was read back covers",
    file: "outbox",
    from: "if (key !== undefined && this.#newest.get(key) === item) this.#newest.delete(key);",
    to: "",
  },
  {
    what: "a later push that was read back removes an earlier one",
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
    what: "bytes are never subtracted",
    file: "outbox",
    from: "    this.#bytes -= sizeOf(item.content);\n",
    to: "",
  },
  {
    what: "a newer epoch is not loaded",
    file: "replica",
    from: "if (!look || newest.epoch > look.place.epoch) return this.#load();",
    to: "if (!look) return this.#load();",
  },
  {
    what: "pushes are sent although one was overtaken",
    file: "replica",
    from: "if (this.#isCurrent && !this.#isOvertaken) {",
    to: "if (this.#isCurrent) {",
  },
  {
    what: "long stops of the process count as silence of others",
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
    what: "a silent server makes all other nodes lost",
    file: "replica",
    from: "this.#isCurrent && this.#silence.ofRead(this.#now) <= MAX_QUIET",
    to: "this.#isCurrent",
  },
  {
    what: "pending pushes wait for a silent server",
    file: "replica",
    from: "if (Math.min(this.#silence.total(this.#now), this.#now - since) > this.#hold) {",
    to: "if (false) {",
  },
  {
    what: "a slow server counts as silent",
    file: "replica",
    from: "if (Math.min(this.#silence.total(this.#now), this.#now - since) > this.#hold) {",
    to: "if (this.#now - since > this.#hold) {",
  },
  {
    what: "a server that was too slow is tried again at once",
    file: "replica",
    from: "if (this.#silence.total(this.#now) <= hold) this.#retryAt = this.#now + hold;",
    to: "",
  },
  {
    what: "a server that was silent is tried again late",
    file: "replica",
    from: "if (this.#silence.total(this.#now) <= hold) this.#retryAt = this.#now + hold;",
    to: "this.#retryAt = this.#now + hold;",
  },
  {
    what: "silence before a push counts after it",
    file: "replica",
    from: "Math.min(this.#silence.total(this.#now), this.#now - since)",
    to: "this.#silence.total(this.#now)",
  },
  {
    what: "answered commands count as unanswered",
    file: "silence",
    from: "    this.#unanswered--;\n",
    to: "",
  },
  {
    what: "an answer is not counted as progress",
    file: "silence",
    from: "    this.#unanswered--;\n    this.#answeredAt = now;",
    to: "    this.#unanswered--;",
  },
  {
    what: "commands of an earlier connection are waited for",
    file: "silence",
    from: "    this.#unanswered = 0;\n  }",
    to: "  }",
  },
  {
    what: "a waiting command is replaced by the next one",
    file: "silence",
    from: "else if (this.#unanswered++ === 0) this.#answeredAt = now;",
    to: "else if (this.#unanswered++ >= 0) this.#answeredAt = now;",
  },
  {
    what: "a hole counts as another stream",
    file: "stream_epoch",
    from: 'if (first.position > place.position) return "hole";\n',
    to: "",
  },
  {
    what: "a hole within an epoch is loaded",
    file: "stream_epoch",
    from: "before?.epoch !== epoch || before.position + 1 !== position",
    to: "before?.epoch !== epoch",
  },
  {
    what: "entries of an earlier epoch are loaded too",
    file: "stream_epoch",
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
