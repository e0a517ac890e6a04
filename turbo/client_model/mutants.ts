/**
 * Mutants of client_core.js: each changes one place in it, which the tests must notice.
 *
 * @module
 */
import { importsOfProject } from "./import_map.ts";

/** One change: the mistake that it makes, the text that is replaced, and the replacement. */
export type Mutant = readonly [what: string, from: string, to: string];

/** All mutants. Each text occurs once in client_core.js. */
export const MUTANTS: readonly Mutant[] = [
  // Cursors
  ["cursors of two logs compare", "&& left.epoch === right.epoch ?", "?"],
  ["a cursor is after itself", "(compare(a, b) ?? 0) > 0", "(compare(a, b) ?? 0) >= 0"],
  [
    "a cursor that does not compare is after",
    "(compare(a, b) ?? 0) > 0",
    "(compare(a, b) ?? 1) > 0",
  ],
  // Shown
  ["a `since` knows no parts", "isAfter(a, b) ? b : a, this.cursor", "a, this.cursor"],
  ["a part has the cursor of the page", "(part !== undefined && this.parts.get(part)) ||", ""],
  [
    "mark() compares with the page",
    "compare(cursor, this.cursorOf(around))",
    "compare(cursor, this.cursor)",
  ],
  [
    "mark() forgets an older part",
    "else if (order !== undefined) this",
    "else if (order > 0) this",
  ],
  [
    "mark() forgets a newer part",
    "else if (order !== undefined) this",
    "else if (order < 0) this",
  ],
  [
    "mark() keeps a part with the cursor around it",
    "if (order === 0) this.parts.delete(part);",
    "if (order === 0);",
  ],
  [
    "advance() does not raise parts",
    "for (const [part, at] of this.parts) if (isAfter(cursor, at)) ",
    "for (const [part] of []) ",
  ],
  [
    "advance() lowers parts",
    "for (const [part, at] of this.parts) if (isAfter(cursor, at)) ",
    "for (const [part] of this.parts) ",
  ],
  ["advance() lowers the page", "if (isAfter(cursor, this.cursor)) this", "this"],
  [
    "covers() takes one more",
    "(compare(cursor, this.historyStart) ?? -1) >= 0",
    "(compare(cursor, this.historyStart) ?? -1) >= -1",
  ],
  [
    "covers() takes one less",
    "(compare(cursor, this.historyStart) ?? -1) >= 0",
    "(compare(cursor, this.historyStart) ?? -1) > 0",
  ],
  ["the history stays empty", "this.history.push(message);", ""],
  ["the history has no limit", "while (this.historySize > MAX_HISTORY)", "while (false)"],
  ["the history claims dropped messages", "      this.historyStart = cursor;\n", ""],
  [
    "forget() does not move the start of the history",
    "    this.historyStart = this.cursor;\n  }\n\n  /**\n   * Drops",
    "  }\n\n  /**\n   * Drops",
  ],
  [
    "settle() drops a newer part",
    "compare(at, this.cursorOf(outer)) === 0",
    "!isAfter(this.cursorOf(outer), at)",
  ],
  [
    "settle() compares with the page",
    "compare(at, this.cursorOf(outer)) === 0",
    "compare(at, this.cursor) === 0",
  ],
  ["copy() forgets the parts", "if (name !== undefined) copy.parts.set(name, at);", ""],
  ["copy() forgets isLost", "copy.isLost = this.isLost;", ""],
  // plan()
  [
    "messages after a hole are rendered",
    "if (!hasHole) messages.push(message);",
    "messages.push(message);",
  ],
  ["a hole is not noticed", "hasHole ||= !shown.covers(message.cursor);", ""],
  [
    "nothing is repeated after an answer",
    "messages.push(...known.filter(({ cursor }) => isAfter(cursor, message.cursor)));",
    "",
  ],
  [
    "only rendered messages are repeated after an answer",
    "...queue.slice(0, index).filter(({ isAnswer }) => !isAnswer)]",
    "]",
  ],
  [
    "rendered messages are not repeated after an answer",
    "known = [...shown.history, ",
    "known = [",
  ],
  [
    "messages are one step although there are parts",
    "shown.parts.size === 0 && messages.every",
    "messages.every",
  ],
  [
    "messages are one step although the page has had some",
    "order >= 0 : order > 0",
    "order >= 0 : order >= 0",
  ],
  ["messages and answers are one step", "return !isAnswer && (html", "return (html"],
  // Inbox
  ["nothing is dropped", 'return "drop";', 'return "messages";'],
  ["a heartbeat is a marker", 'html !== "" || cursor !== this.awaited[0]', 'html !== ""'],
  ["a message is a marker", 'messages.length > 1 || html !== "" || cursor', "cursor"],
  ["a gap is a message", "const isGap = this.isFresh && html === REFRESH;", "const isGap = false;"],
  [
    "a refresh is a gap",
    "const isGap = this.isFresh && html === REFRESH;",
    "const isGap = html === REFRESH;",
  ],
  [
    "a marker of another connection counts",
    "    this.awaited = [];\n    this.isFresh = false;\n",
    "",
  ],
  // Follower
  [
    "show() continues fetching",
    "    this.shown = shown;\n    this.isFetching = false;",
    "    this.shown = shown;",
  ],
  ["show() does not ask", '"push");\n    this.ask();', '"push");'],
  [
    "show() does not fetch a lost page",
    'else if (shown.isLost) this.refetch(shown.cursor, "push");',
    "",
  ],
  [
    "connecting() does not expect a marker",
    "      this.inbox.asked(shown.oldest);\n    }\n  }",
    "    }\n  }",
  ],
  [
    "connected() does not ask",
    "|| shown.oldest !== asked.cursor)) this.ask();",
    "|| shown.oldest !== asked.cursor));",
  ],
  ["connected() sees no other page", "shown !== asked?.shown || ", ""],
  ["connected() sees no older part", " || shown.oldest !== asked.cursor", ""],
  [
    "disconnected() leaves the page current",
    "    this.inbox.reset();\n    this.#setCurrent(false);",
    "    this.inbox.reset();",
  ],
  [
    "ask() keeps waiting messages",
    "    const { shown } = this;\n    this.#drop();",
    "    const { shown } = this;",
  ],
  ["ask() asks without a connection", "if (shown && this.isConnected)", "if (shown)"],
  [
    "ask() expects the marker of a question that was not sent",
    "if (this.isHeld) this.inbox.awaited.pop();",
    "",
  ],
  ["a page that may not ask is current", "if (this.isHeld) this.#setCurrent(false);", ""],
  [
    "a page that is fetched is current",
    "if (this.isAnswered && !this.isFetching)",
    "if (this.isAnswered)",
  ],
  [
    "the first of two markers is enough",
    "if (this.isAnswered && !this.isFetching)",
    "if (!this.isFetching)",
  ],
  [
    "need stays a cursor of another log",
    "if (compare(cursor, this.need) === undefined) this.need = cursor;",
    "",
  ],
  [
    "a process that can continue is not noticed",
    "if (this.isFetching && !this.shown.isLost && isFresh)",
    "if (false)",
  ],
  ["a process that cannot continue does", "!this.shown.isLost && isFresh", "!this.shown.isLost"],
  ["a lost page continues", "!this.shown.isLost && isFresh", "isFresh"],
  ["the shell does not learn that the page continues", "      this.shell.resumed();\n", ""],
  [
    "messages are rendered while the page is fetched",
    "if (this.isFetching || !this.#follow(messages)) return;",
    "if (!this.#follow(messages)) return;",
  ],
  [
    "another epoch is not followed",
    "if (this.isFetching || !this.#follow(messages)) return;",
    "if (this.isFetching) return;",
  ],
  [
    "another log is followed",
    "!== undefined || html === REFRESH) return true;",
    "!== undefined) return true;",
  ],
  ["waiting messages keep their epoch", "message.isAnswer ? message : {", "message ? message : {"],
  [
    "a batch keeps its epoch",
    "    this.#recall();\n    if (!shown.rename",
    "    if (!shown.rename",
  ],
  [
    "a part that is ahead is renamed",
    "=> !isAfter(this.cursor, at))) return",
    "=> !at)) return",
  ],
  ["a part keeps its epoch", "this.parts.set(part, renamed(at));", "this.parts.set(part, at);"],
  ["the history keeps its epoch", "({ cursor: renamed(cursor), html }));", "({ cursor, html }));"],
  [
    "the start of the history keeps its epoch",
    "this.historyStart = renamed(this.historyStart);",
    "",
  ],
  [
    "the queue has no limit",
    "if (this.queue.length > MAX_QUEUE) this.ask();\n    else this",
    "this",
  ],
  ["a frame is in no part", "shell.around(part))", "undefined)"],
  [
    "a frame of another log is accepted",
    'if (compare(cursor, shown.cursor) === undefined) return this.refetch(shown.cursor, "push");',
    "",
  ],
  ["a frame has no hole", "if (!shown.covers(cursor)) return this.ask();", ""],
  ["nothing is repeated after a frame", "this.queue.unshift(...shown.after(cursor));", ""],
  [
    "repeated messages after a frame come last",
    "this.queue.unshift(...shown.after(cursor));",
    "this.queue.push(...shown.after(cursor));",
  ],
  ["a refresh loses nothing", 'this.shown.isLost ||= why !== "gap";', ";"],
  ["a gap loses all", 'this.shown.isLost ||= why !== "gap";', "this.shown.isLost = true;"],
  ["restart() restarts nothing", "  restart() {\n    this.#recall();\n", "  restart() {\n"],
  [
    "a refresh is not noticed",
    "if (this.shell.run(step, shown)) refresh = step;",
    "this.shell.run(step, shown);",
  ],
  ["an answer advances the page", "if (!step.isAnswer) {", "if (true) {"],
  [
    "an answer of another log is accepted",
    "isLost ||= compare(step.cursor, shown.cursor) === undefined;",
    ";",
  ],
  ["the server is not asked after a hole", "else if (batch.hasHole) this.ask();", ""],
  ["parts never settle", "shown.settle(this.shell.around);", ""],
  [
    "two batches are rendered at once",
    "if (this.batch || this.queue.length === 0) return;",
    "if (this.queue.length === 0) return;",
  ],
  ["a cancelled batch is rendered all the same", "this.shell.cancel(batch);", ""],
  ["a cancelled batch is lost", "this.queue.unshift(...batch.source);", ""],
  [
    "a cancelled batch comes last",
    "this.queue.unshift(...batch.source);",
    "this.queue.push(...batch.source);",
  ],
  [
    "answers are dropped",
    "this.queue = this.queue.filter(({ isAnswer }) => isAnswer);",
    "this.queue = [];",
  ],
  ["messages are not dropped", "this.queue = this.queue.filter(({ isAnswer }) => isAnswer);", ""],
  ["the history is not forgotten", "this.shown?.forget();", ""],
  // Transport
  [
    "a WebSocket that was cut at once has worked",
    "if (wasHeard && !(wasCut && age < YOUNG))",
    "if (wasHeard)",
  ],
  [
    "a WebSocket that receives nothing has worked",
    "if (hasOpened && !wasHeard) this.isReached = true;",
    "",
  ],
  [
    "one more WebSocket is tried",
    "if (this.failures >= MAX_FAILURES)",
    "if (this.failures > MAX_FAILURES)",
  ],
  [
    "WebSockets are given up at once",
    "this.failures = MAX_FAILURES - 1;",
    'this.failures = MAX_FAILURES;\n    this.kind = "events";',
  ],
  ["server-sent events are tried for ever", "if (!hasOpened) this.#tryWebSocket();", ""],
  [
    "the first server-sent events are delayed",
    'if (this.kind === "events" && !(this.isReached && this.hasTriedEvents)) return 0;',
    "",
  ],
  ["losses are not reset when the page is current", "    this.losses = 0;\n  }", "  }"],
  // Refetch
  ["an older page is taken", 'return order < 0 ? "again"', 'return order < -1 ? "again"'],
  ["a page of another log is taken", '++this.foreign < MAX_VAIN ? "reconnect" : "stop"', '"take"'],
  [
    "pages of another log are tried without end",
    '++this.foreign < MAX_VAIN ? "reconnect" : "stop"',
    '"reconnect"',
  ],
  [
    "a page of another log counts as a failure",
    "if (!isReachable) return this.vainly();",
    "return this.vainly();",
  ],
  ["a connection that has not answered is closed", "if (!isReachable) return this.vainly();", ""],
  ["a 4xx is accepted", "status < 200 || status > 299 ||", "status < 200 ||"],
  ["an answer that is not HTML is accepted", "|| !isHtml || !cursor", "|| !cursor"],
  ["a page without a cursor is accepted", "|| !isHtml || !cursor", "|| !isHtml"],
  [
    "a busy server counts as a failure",
    "const isBusy = status === 408 || status === 425 || status === 429 || status >= 500;",
    "const isBusy = false;",
  ],
  ["failed fetches go on without end", "return (this.vain += n) < MAX_VAIN", "return true"],
  ["a fetch is not delayed", "Math.min(60_000, 500 * 2 ** this.tries)", "500"],
  // The rest
  ["a server may ask for years", "Math.min(retryAfter, MAX_RETRY_AFTER)", "retryAfter"],
  ["seconds are milliseconds", "Number(value) * 1_000", "Number(value)"],
  ["a page may ask as often as it likes", "    this.left--;\n", ""],
  [
    "a page may never ask again",
    "this.left = Math.min(MAX_ASKS, this.left + (now - this.at) / 1_000);",
    "",
  ],
];

/** Those that 2,000 lists of steps do not notice. */
export const UNNOTICED: ReadonlySet<string> = new Set([
  "connected() sees no older part",
  "a frame is in no part",
  "a frame has no hole",
  "repeated messages after a frame come last",
]);

/**
 * The mutants that the tests of the core do not notice.
 *
 * @throws {Error} when a text does not occur exactly once in client_core.js
 */
export async function survivorsOf(mutants: readonly Mutant[]): Promise<string[]> {
  const core = new URL("../client_core.js", import.meta.url);
  const source = await Deno.readTextFile(core);
  const directory = await Deno.makeTempDir();
  const imports = await importsOfProject();
  await Deno.writeTextFile(`${directory}/as_is.json`, JSON.stringify({ imports }));
  if (!await passes(`${directory}/as_is.json`)) throw new Error("The tests fail without a change");
  const survivors: string[] = [];
  const queue = [...mutants.entries()];
  const worker = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [index, [what, from, to]] = next;
      if (source.split(from).length !== 2) throw new Error(`Out of date: ${what}`);
      const [file, map] = [`${directory}/${index}.js`, `${directory}/${index}.json`];
      await Deno.writeTextFile(file, source.replace(from, () => to));
      await Deno.writeTextFile(
        map,
        JSON.stringify({ imports: { ...imports, [core.href]: `file://${file}` } }),
      );
      if (await passes(map)) survivors.push(what);
    }
  };
  try {
    await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, worker));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  return survivors;
}

/** Whether the tests pass with the modules of an import map. A mutant that times out is noticed. */
async function passes(importMap: string): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "-A", "--no-check", "--fail-fast", `--import-map=${importMap}`],
      ...["--lock=tests/deno.lock", "turbo/client_core_test.ts", "turbo/client_model_test.ts"],
    ],
    cwd: new URL("../../", import.meta.url),
    env: { RUNS: "2000" },
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.timeout(300_000),
  }).output();
  return success;
}

if (import.meta.main) {
  const survivors = await survivorsOf(MUTANTS);
  console.log(`${MUTANTS.length - survivors.length} of ${MUTANTS.length} changes are noticed`);
  for (const what of survivors) console.log(`not noticed: ${what}`);
  Deno.exit(survivors.length === 0 ? 0 : 1);
}
