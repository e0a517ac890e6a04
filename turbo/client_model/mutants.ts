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
  ["what does not compare is after", "(compare(a, b) ?? 0) > 0", "(compare(a, b) ?? 1) > 0"],
  // Shown
  ["a `since` knows no parts", "isAfter(a, b) ? b : a, this.cursor", "a, this.cursor"],
  ["a part is where the page is", "(part !== undefined && this.parts.get(part)) ||", ""],
  [
    "mark() compares with the page",
    "compare(cursor, this.cursorOf(around))",
    "compare(cursor, this.cursor)",
  ],
  [
    "mark() forgets what is older",
    "else if (order !== undefined) this",
    "else if (order > 0) this",
  ],
  [
    "mark() forgets what is newer",
    "else if (order !== undefined) this",
    "else if (order < 0) this",
  ],
  [
    "mark() leaves what was there",
    "if (order === 0) this.parts.delete(part);",
    "if (order === 0);",
  ],
  [
    "advance() leaves the parts",
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
  ["nothing is remembered", "this.history.push(message);", ""],
  ["what is remembered has no bounds", "while (this.historySize > MAX_HISTORY)", "while (false)"],
  ["what is dropped is thought to be there", "      this.historyStart = cursor;\n", ""],
  [
    "forget() leaves where the history starts",
    "    this.historyStart = this.cursor;\n  }\n\n  /**\n   * Drops",
    "  }\n\n  /**\n   * Drops",
  ],
  [
    "settle() drops what is newer",
    "compare(at, this.cursorOf(outer)) === 0",
    "!isAfter(this.cursorOf(outer), at)",
  ],
  [
    "settle() compares with the page",
    "compare(at, this.cursorOf(outer)) === 0",
    "compare(at, this.cursor) === 0",
  ],
  ["copy() forgets the parts", "if (name !== undefined) copy.parts.set(name, at);", ""],
  ["copy() forgets that something is lost", "copy.isLost = this.isLost;", ""],
  // plan()
  [
    "what is behind a hole is rendered",
    "if (!hasHole) messages.push(message);",
    "messages.push(message);",
  ],
  ["no hole is seen", "hasHole ||= !shown.covers(message.cursor);", ""],
  [
    "nothing follows an answer again",
    "messages.push(...known.filter(({ cursor }) => isAfter(cursor, message.cursor)));",
    "",
  ],
  [
    "only what was rendered follows an answer again",
    "...queue.slice(0, index).filter(({ isAnswer }) => !isAnswer)]",
    "]",
  ],
  ["what was rendered does not follow an answer again", "known = [...shown.history, ", "known = ["],
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
  ["another connection answers", "    this.awaited = [];\n    this.isFresh = false;\n", ""],
  // Follower
  [
    "show() goes on fetching",
    "    this.shown = shown;\n    this.isFetching = false;",
    "    this.shown = shown;",
  ],
  ["show() does not ask", '"push");\n    this.ask();', '"push");'],
  ["show() shows what is lost", 'else if (shown.isLost) this.refetch(shown.cursor, "push");', ""],
  [
    "connecting() asks for nothing",
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
    "disconnected() says nothing",
    "    this.inbox.reset();\n    this.#setCurrent(false);",
    "    this.inbox.reset();",
  ],
  [
    "ask() keeps what waits",
    "    const { shown } = this;\n    this.#drop();",
    "    const { shown } = this;",
  ],
  ["ask() asks without a connection", "if (shown && this.isConnected)", "if (shown)"],
  ["ask() waits for what it has not sent", "if (this.isHeld) this.inbox.awaited.pop();", ""],
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
    "what is needed stays of another log",
    "if (compare(cursor, this.need) === undefined) this.need = cursor;",
    "",
  ],
  [
    "a process that can go on is not noticed",
    "if (this.isFetching && !this.shown.isLost && isFresh)",
    "if (false)",
  ],
  ["a process that cannot go on goes on", "!this.shown.isLost && isFresh", "!this.shown.isLost"],
  ["what is lost goes on", "!this.shown.isLost && isFresh", "isFresh"],
  ["nobody is told that it goes on", "      this.shell.resumed();\n", ""],
  [
    "messages are rendered into what is fetched",
    "if (this.isFetching || !this.#follow(messages)) return;",
    "if (!this.#follow(messages)) return;",
  ],
  [
    "what comes under another name is not followed",
    "if (this.isFetching || !this.#follow(messages)) return;",
    "if (this.isFetching) return;",
  ],
  [
    "another log is followed",
    "!== undefined || html === REFRESH) return true;",
    "!== undefined) return true;",
  ],
  ["what waits keeps its name", "message.isAnswer ? message : {", "message ? message : {"],
  ["a batch keeps its name", "    this.#recall();\n    if (!shown.rename", "    if (!shown.rename"],
  [
    "a part that is ahead is renamed",
    "=> !isAfter(this.cursor, at))) return",
    "=> !at)) return",
  ],
  ["a part keeps its name", "this.parts.set(part, renamed(at));", "this.parts.set(part, at);"],
  ["the history keeps its names", "({ cursor: renamed(cursor), html }));", "({ cursor, html }));"],
  ["the history begins under its name", "this.historyStart = renamed(this.historyStart);", ""],
  [
    "the queue has no bounds",
    "if (this.queue.length > MAX_QUEUE) this.ask();\n    else this",
    "this",
  ],
  ["a frame stands in no part", "shell.around(part))", "undefined)"],
  [
    "a frame of another log is taken",
    'if (compare(cursor, shown.cursor) === undefined) return this.refetch(shown.cursor, "push");',
    "",
  ],
  ["a frame has no hole", "if (!shown.covers(cursor)) return this.ask();", ""],
  ["nothing follows a frame again", "this.queue.unshift(...shown.after(cursor));", ""],
  [
    "what follows a frame again comes last",
    "this.queue.unshift(...shown.after(cursor));",
    "this.queue.push(...shown.after(cursor));",
  ],
  ["a refresh loses nothing", 'this.shown.isLost ||= why !== "gap";', ";"],
  ["a gap loses all", 'this.shown.isLost ||= why !== "gap";', "this.shown.isLost = true;"],
  ["restart() restarts nothing", "  restart() {\n    this.#recall();\n", "  restart() {\n"],
  [
    "a refresh is not seen",
    "if (this.shell.run(step, shown)) refresh = step;",
    "this.shell.run(step, shown);",
  ],
  ["an answer moves the page on", "if (!step.isAnswer) {", "if (true) {"],
  [
    "an answer of another log is taken",
    "isLost ||= compare(step.cursor, shown.cursor) === undefined;",
    ";",
  ],
  ["a hole is not asked for", "else if (batch.hasHole) this.ask();", ""],
  ["parts never settle", "shown.settle(this.shell.around);", ""],
  [
    "two batches are rendered at once",
    "if (this.batch || this.queue.length === 0) return;",
    "if (this.queue.length === 0) return;",
  ],
  ["what was given is rendered all the same", "this.shell.cancel(batch);", ""],
  ["what was given is lost", "this.queue.unshift(...batch.source);", ""],
  [
    "what was given comes last",
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
    "a WebSocket that was cut at once has held",
    "if (wasHeard && !(wasCut && age < YOUNG))",
    "if (wasHeard)",
  ],
  [
    "a WebSocket that passes no frame has opened",
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
    "server-sent events are not asked at once",
    'if (this.kind === "events" && !(this.isReached && this.hasTriedEvents)) return 0;',
    "",
  ],
  ["a page that is current is still losing", "    this.losses = 0;\n  }", "  }"],
  // Refetch
  ["an older page is taken", 'return order < 0 ? "again"', 'return order < -1 ? "again"'],
  ["a page of another log is taken", '++this.foreign < MAX_VAIN ? "reconnect" : "stop"', '"take"'],
  [
    "a page of another log has no end",
    '++this.foreign < MAX_VAIN ? "reconnect" : "stop"',
    '"reconnect"',
  ],
  [
    "a page of another log is in vain",
    "if (!isReachable) return this.vainly();",
    "return this.vainly();",
  ],
  ["a connection is given up that has not answered", "if (!isReachable) return this.vainly();", ""],
  ["a 4xx is taken", "status < 200 || status > 299 ||", "status < 200 ||"],
  ["what is no HTML is taken", "|| !isHtml || !cursor", "|| !cursor"],
  ["a page without a cursor is taken", "|| !isHtml || !cursor", "|| !isHtml"],
  [
    "a server that is busy is in vain",
    "const isBusy = status === 408 || status === 425 || status === 429 || status >= 500;",
    "const isBusy = false;",
  ],
  ["a fetch in vain has no end", "return (this.vain += n) < MAX_VAIN", "return true"],
  ["a fetch is not put off", "Math.min(60_000, 500 * 2 ** this.tries)", "500"],
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
  "a frame stands in no part",
  "a frame has no hole",
  "what follows a frame again comes last",
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
