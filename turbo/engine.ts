/**
 * The interface to what orders the pushes of one process or of many, and the engine for one process.
 *
 * @module
 */
import { checkOptions, text } from "./checks.ts";
import type { Audience, Entry, Log, LogState } from "./log.ts";
import { checkState, hasState, leaveState, takeState } from "./state_file.ts";

/** What is pushed: streams for an audience, or a command about a name or this node. */
export type Push =
  | Audience & {
    /** The streams' HTML, or a function that renders it when it is sent. */
    readonly html: string | (() => string);
  }
  | {
    /** The name whose connections are to end, on every node. */
    readonly disconnect: string;
  }
  | {
    /** The name for which everything signed until now is to become invalid, on every node. */
    readonly revoke: string;
  }
  | {
    /** What this node states about itself to all nodes, at its place in the order. No page receives it. */
    readonly say: string;
  }
  | {
    /** This node is about to close. Without this the others notice it only by its silence. */
    readonly leave: true;
  };

/** What a node has stated about itself. */
export interface Said {
  /** The name of the node; no other node has it, nor has this one after a restart. */
  readonly node: string;
  /** The statement. */
  readonly text: string;
  /** Whether it is this node's own. */
  readonly isOwn: boolean;
}

/** This process's copy of the log, and the callbacks for its changes. */
export interface Copy {
  /** The log. Only the engine changes it. */
  readonly log: Log;
  /** The key that signs topics where the app sets none. An engine with storage keeps it over a restart. */
  secret: string | undefined;
  /** Call after an entry was appended: sends it to those it is for. */
  deliver(entry: Entry): void;
  /** Ends the connections of a name in this process. */
  disconnect(name: string): void;
  /** Call after a name was revoked in the log: the pages that listen to it fetch themselves again. */
  revoke(name: string): void;
  /** Call after the order was lost: every page of this process fetches itself again. */
  restart(): void;
  /** Call when a node, which may be this one, has stated something about itself. */
  hear(said: Said): void;
  /** Call when a node is gone. `isOwn`: this node, alone of all, has reported it. */
  left(node: string, isOwn: boolean): void;
  /** Call when another node may have missed what this one stated: makes this node state everything again. */
  sayAll(): void;
  /** Passes a notice to the operator. */
  notice(message: string): void;
}

/**
 * Gives all pushes one order. An engine appends them to the copy, at once or when they come back from
 * the server that orders them. A `Turbo` works the same with any engine.
 */
export interface Engine {
  /** Called once, before anything else. */
  start(copy: Copy): void;
  /** Accepts a push. Pushes of one process keep their order. Throws only what a render function throws. */
  push(push: Push): void;
  /** Resolves when everything pushed so far is in the copy. */
  flush(): Promise<void>;
  /** Called once, when no connection is left. */
  close(): Promise<void>;
  /**
   * Resolves when the engine knows whether it orders the pushes of all nodes or, for now, of this one
   * alone. Rejects where it cannot work as configured. Default: resolved.
   */
  readonly ready?: Promise<void>;
  /** Why only this node's own pushes are ordered, while that is so. Default: never. */
  readonly away?: string | undefined;
}

/** Options of {@linkcode memory}. */
export interface MemoryOptions {
  /**
   * A file that keeps the log over a restart. `Turbo.close()` writes it; the next start loads and removes
   * it. Pages that were open are then sent what they missed, and need not fetch themselves again. The
   * file is for one process at a time, which needs permission to read and write it.
   *
   * Never restore the file from a backup: pages have continued since then, and the same cursors would
   * mean something else. A file that belongs to another user, or that others may write, is not loaded.
   * The data that pages show must survive the restart too. Changes to it while no process runs must be
   * pushed at the start, because the log does not contain them. Default: none.
   */
  file?: string;
}

const RULES = { file: text((file) => file !== "", "the path of a file") };

/**
 * Milliseconds by which the wall clock may be behind the time of the saved state, such as after a small
 * correction.
 */
const CLOCK_CORRECTION = 30_000;

/**
 * Creates the default engine: it orders the pushes of one process, in memory. Each `Turbo` needs its own.
 *
 * @throws {TypeError} when `file` is not a string
 * @throws {RangeError} when `file` is empty
 */
export function memory(options: MemoryOptions = {}): Engine {
  return new Memory(options);
}

/** The name of the only node. */
const ONLY = "here";

/** The engine of one process. */
export class Memory implements Engine {
  readonly #file: string | undefined;
  #copy!: Copy; // start() sets it
  #isClosed = false;
  /** Whether the state must not be written any more: the file is not ours, or writing has failed. */
  #isBarred = false;

  /** Has no effects until `start`. */
  constructor(options: MemoryOptions = {}) {
    this.#file = checkOptions("memory()", options, RULES).file;
  }

  /** @throws {Error} when the state cannot be read or could not be written, and when called twice */
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

  // A request that was still being answered while the connections closed may push or revoke afterwards.
  #change(change: () => void): void {
    if (this.#isClosed) this.#goOnAlone();
    change();
    if (this.#isClosed) this.#leave();
  }

  #take(file: string): State | undefined {
    try {
      const owner = checkState(file); // first: a state that cannot be written again would be lost
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

  // Another process that has loaded the state does not know what is pushed here. So no cursor from here
  // may mean anything to it.
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
 * Milliseconds since a time, by the wall clock, because no other clock runs while no process does. Where
 * the clock is behind that time, such as on a machine without a battery, the length of the stop is
 * unknown; it counts as longer than anything is kept.
 */
function elapsedSince(time: number): number {
  const elapsed = Date.now() - time;
  return elapsed < -CLOCK_CORRECTION ? Number.MAX_SAFE_INTEGER : Math.max(0, elapsed);
}

/** What is saved for the next process. */
interface State {
  /** When it was saved, in milliseconds since 1970. */
  savedAt: number;
  secret: string | undefined;
  log: LogState;
}
