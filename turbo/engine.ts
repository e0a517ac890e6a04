/**
 * Where the order of pushes comes from: the seam between `Turbo` and one process, or many.
 *
 * @module
 */
import type { Audience, Entry, Log, LogState } from "./log.ts";
import { checkState, leaveState, removeState, takeState } from "./state_file.ts";

/** What is pushed: streams for an audience, or the order to send a name away. */
export type Push =
  | Audience & {
    /** The streams' HTML, or what renders it at the moment when it is sent. */
    readonly html: string | (() => string);
  }
  | {
    /** The name whose connections end, on every node. */
    readonly disconnect: string;
  };

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
  /** After the order has begun anew: every page of this process fetches itself again. */
  restart(): void;
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
}

/** Options of {@linkcode memory}. */
export interface MemoryOptions {
  /**
   * A file by which the log outlives a restart: written by `Turbo.close()`, taken up and removed by
   * the next start, so that pages which were open are sent what they missed instead of fetching
   * themselves again. One process at a time; needs permission to read and write there.
   *
   * What the pages show must outlive the restart too, and what changes it while no process runs must
   * be pushed at the start: the log knows nothing of it. Default: none.
   */
  file?: string;
}

/** The order of one process, in its memory. The default. */
export function memory(options: MemoryOptions = {}): Engine {
  return new Memory(options);
}

/** The engine of one process. */
export class Memory implements Engine {
  readonly #file: string | undefined;
  #copy!: Copy;
  #isClosed = false;
  /** Whether nothing may be left, because something else is where the state would be. */
  #isBarred = false;

  /** Starts nothing. */
  constructor({ file }: MemoryOptions = {}) {
    this.#file = file;
  }

  /** @throws {Error} where the state can be neither taken up nor left */
  start(copy: Copy): void {
    this.#copy = copy;
    if (this.#file === undefined) return;
    const state = this.#take(this.#file);
    if (state) copy.log.load(state.log);
    copy.secret = state?.secret ?? crypto.randomUUID();
  }

  push(push: Push): void {
    if (this.#isClosed) this.#tooLate();
    if ("disconnect" in push) return this.#copy.disconnect(push.disconnect);
    const { html, ...audience } = push;
    const text = typeof html === "function" ? html() : html;
    if (text !== "") this.#copy.deliver(this.#copy.log.append(text, audience));
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#isClosed = true;
    if (this.#file !== undefined && !this.#isBarred) this.#leave(this.#file);
    return Promise.resolve();
  }

  #leave(file: string): void {
    const state: State = { secret: this.#copy.secret, log: this.#copy.log.save() };
    try {
      leaveState(file, JSON.stringify(state));
    } catch (error) {
      this.#copy.notice(`Cannot leave the state in ${file}: ${(error as Error).message}`);
    }
  }

  #take(file: string): State | undefined {
    try {
      const taken = takeState(file);
      if ("text" in taken) {
        checkState(file);
        return JSON.parse(taken.text);
      }
      this.#isBarred = taken.isForeign ?? false;
      if (!this.#isBarred) checkState(file);
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

  // What is pushed now was not left to the next process, and its pages would never be told.
  #tooLate(): void {
    if (this.#file === undefined || this.#isBarred) return;
    removeState(this.#file);
    this.#isBarred = true;
    this.#copy.notice(`A push came after close(): the state in ${this.#file} is given up`);
  }
}

/** What is left to the next process. Its hash says that it is what was written. */
interface State {
  secret: string | undefined;
  log: LogState;
}
