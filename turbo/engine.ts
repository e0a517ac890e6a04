/**
 * Where the order of pushes comes from: the seam between `Turbo` and one process, or many.
 *
 * @module
 */
import { checkOptions, text } from "./checks.ts";
import type { Audience, Entry, Log, LogState } from "./log.ts";
import { checkState, hasState, leaveState, takeState } from "./state_file.ts";

/** What is pushed: streams for an audience, or an order that concerns a name. */
export type Push =
  | Audience & {
    /** The streams' HTML, or what renders it at the moment when it is sent. */
    readonly html: string | (() => string);
  }
  | {
    /** The name whose connections end, on every node. */
    readonly disconnect: string;
  }
  | {
    /** The name for which nothing counts that was signed until now, on every node. */
    readonly revoke: string;
  }
  | {
    /** What this node tells all nodes of itself, at its place in the order. No page is sent it. */
    readonly say: string;
  }
  | {
    /** This node is about to close, so that the others need not wait for its silence. */
    readonly leave: true;
  };

/** Something that a node has said of itself. */
export interface Said {
  /** The node, by a name that no other node and no other life of it has. */
  readonly node: string;
  /** What it has said. */
  readonly text: string;
  /** Whether it is this one. */
  readonly isOwn: boolean;
}

/** This process's copy of the log, and who wants to know when it changes. */
export interface Copy {
  /** The copy. Its engine alone changes it. */
  readonly log: Log;
  /** The key that signs topics where no other is set. An engine that outlives the process keeps it. */
  secret: string | undefined;
  /** After an entry was appended: it goes to those it is for. */
  deliver(entry: Entry): void;
  /** Ends the connections of a name in this process. */
  disconnect(name: string): void;
  /** After a name was revoked in the log: those who listen to it fetch themselves again. */
  revoke(name: string): void;
  /** After the order was lost: every page of this process fetches itself again. */
  restart(): void;
  /** A node, which may be this one, has said something of itself. */
  hear(said: Said): void;
  /** A node is gone. `isOwn`: it was this one that has told so, alone of all nodes. */
  left(node: string, isOwn: boolean): void;
  /** Somebody may not have heard what this node has said of itself: it says all of it again. */
  sayAll(): void;
  /** Tells whoever runs this. */
  notice(message: string): void;
}

/**
 * What gives all pushes one order. It appends them to the copy, at once or when they come back from
 * where they are ordered; a `Turbo` works the same over any of them.
 */
export interface Engine {
  /** Called once, before all else. */
  start(copy: Copy): void;
  /** Takes a push. Pushes of one process keep their order. Throws nothing of its own. */
  push(push: Push): void;
  /** Resolves when all pushed so far is in the copy. */
  flush(): Promise<void>;
  /** Called once, when no connection is left. */
  close(): Promise<void>;
  /**
   * Resolves when it is known whether there is an order of all nodes or, for now, of this one alone;
   * rejects where it will not work as it is set up. Default: at once.
   */
  readonly ready?: Promise<void>;
  /** Why there is no order but that of this node, while that is so. Default: never. */
  readonly away?: string | undefined;
}

/** Options of {@linkcode memory}. */
export interface MemoryOptions {
  /**
   * A file by which the log outlives a restart: written by `Turbo.close()`, taken up and removed by
   * the next start, so that pages which were open are sent what they missed instead of fetching
   * themselves again. One process at a time; needs permission to read and write there.
   *
   * A copy must never be put back, as from a backup: pages have gone on since it was made, and the
   * same cursors would mean something else. One that belongs to another user, or that others may
   * write, is left alone. What the pages show must outlive the restart too, and what changes it while
   * no process runs must be pushed at the start: the log knows nothing of it. Default: none.
   */
  file?: string;
}

const RULES = { file: text((file) => file !== "", "the path of a file") };

/**
 * Milliseconds by which the clock on the wall may be behind the time of the state, as after a small
 * correction.
 */
const CLOCK_CORRECTION = 30_000;

/**
 * The order of one process, in its memory. The default. Each `Turbo` needs one of its own.
 *
 * @throws {TypeError} when `file` is none
 */
export function memory(options: MemoryOptions = {}): Engine {
  return new Memory(options);
}

/** What the only node is called. */
const ONLY = "here";

/** The engine of one process. */
export class Memory implements Engine {
  readonly #file: string | undefined;
  #copy!: Copy; // by start()
  #isClosed = false;
  /** Whether nothing more may be left: something else is there, or it could not be. */
  #isBarred = false;

  /** Starts nothing. */
  constructor(options: MemoryOptions = {}) {
    this.#file = checkOptions("memory()", options, RULES).file;
  }

  /** @throws {Error} where the state can be neither taken up nor left, and where it was called before */
  start(copy: Copy): void {
    if (this.#copy) {
      throw new Error("Cannot start a memory engine twice: each Turbo needs one of its own");
    }
    this.#copy = copy;
    if (this.#file === undefined) return;
    const state = this.#take(this.#file);
    if (state) copy.log.load(state.log, elapsedSince(state.savedAt));
    if (!this.#isBarred) copy.secret = state?.secret ?? crypto.randomUUID();
  }

  push(push: Push): void {
    if ("disconnect" in push) return this.#copy.disconnect(push.disconnect);
    if ("revoke" in push) return this.#change(() => this.#revoke(push.revoke));
    if ("say" in push) return this.#copy.hear({ node: ONLY, text: push.say, isOwn: true });
    if ("leave" in push) return this.#copy.left(ONLY, true);
    const { html, ...audience } = push;
    const text = typeof html === "function" ? html() : html;
    if (text === "") return;
    this.#change(() => this.#copy.deliver(this.#copy.log.append(text, audience)));
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#leave();
    return Promise.resolve();
  }

  #revoke(name: string): void {
    this.#copy.log.revoke(name);
    this.#copy.revoke(name);
  }

  // A request that was being answered while the readers left may push or revoke after them.
  #change(change: () => void): void {
    if (this.#isClosed) this.#goOnAlone();
    change();
    if (this.#isClosed) this.#leave();
  }

  #take(file: string): State | undefined {
    try {
      const owner = checkState(file); // first: what cannot be left again after this would be lost
      const taken = takeState(file, owner);
      if ("text" in taken) return JSON.parse(taken.text);
      this.#isBarred = taken.isForeign ?? false;
      this.#copy.notice(
        `No state in ${file}: ${taken.missing}. Pages that are open fetch themselves`,
      );
      return undefined;
    } catch (error) {
      throw new Error(`Cannot keep the state in ${file}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  #leave(): void {
    if (this.#file === undefined || this.#isBarred) return;
    const { secret, log } = this.#copy;
    const state: State = { savedAt: Date.now(), secret, log: log.save() };
    this.#attempt(() => leaveState(this.#file!, JSON.stringify(state)));
  }

  // Where another process has taken up the state, that one knows nothing of what is pushed here, and
  // no cursor from here may mean anything to it.
  #goOnAlone(): void {
    if (this.#file === undefined || this.#isBarred) return;
    this.#attempt(() => {
      if (hasState(this.#file!)) return;
      this.#copy.log.fork();
      throw new Error("another process has taken it up, and a push or a revoke came after that");
    });
  }

  #attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#isBarred = true;
      const reason = (error as Error).message;
      this.#copy.notice(`Cannot leave the state in ${this.#file}: ${reason}`);
    }
  }
}

/**
 * Milliseconds since a time, by the clock on the wall, as no other goes on while no process runs.
 * Where it is behind that time, as on a machine without a battery, nobody knows how long the stop
 * was: longer than anything is kept.
 */
function elapsedSince(time: number): number {
  const elapsed = Date.now() - time;
  return elapsed < -CLOCK_CORRECTION ? Number.MAX_SAFE_INTEGER : Math.max(0, elapsed);
}

/** What is left to the next process. */
interface State {
  /** When, in milliseconds since 1970. */
  savedAt: number;
  secret: string | undefined;
  log: LogState;
}
