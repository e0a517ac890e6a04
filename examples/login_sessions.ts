/**
 * The sessions of readers who are logged in, and a limit on wrong passwords.
 *
 * @module
 */

/** A reader who is logged in, in one browser. */
export interface Session {
  /** The secret id, which only its cookie contains. */
  readonly id: string;
  /** Its name in pages and in pushes. */
  readonly key: string;
  /** The user who is logged in. */
  readonly user: string;
  /** When it started, in milliseconds since 1970. */
  readonly since: number;
}

/** A clock and its timers. */
export interface Clock {
  /** The time in milliseconds since 1970. */
  now(): number;
  /** Calls a function once, after some milliseconds. The function that it returns cancels the call. */
  later(run: () => void, milliseconds: number): () => void;
}

/** Options of {@linkcode Sessions}. */
export interface SessionsOptions {
  /** Milliseconds that a session lasts. */
  lifetime: number;
  /** The clock. */
  clock: Clock;
  /** Called when a session has ended, by a log-out or by its lifetime. */
  onEnd: (session: Session) => void;
}

/** Most sessions of one user at a time; a further one ends the oldest. */
const MAX_SESSIONS = 5;
/** Most wrong passwords for one name, and the milliseconds for which they count. */
const MAX_FAILURES = 5;
const FAILURES_WITHIN = 60_000;
/** Most names whose wrong passwords are counted. */
const MAX_NAMES = 1_000;

/** The platform's clock. */
export const CLOCK: Clock = {
  now: () => Date.now(),
  later(run, milliseconds) {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** The sessions, in memory. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #all = new Map<string, { session: Session; cancel: () => void }>();

  /** Starts without sessions. */
  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** Starts a session with a new id. */
  start(user: string): Session {
    const { clock, lifetime } = this.#options;
    const [oldest, ...others] = this.of(user);
    if (oldest && others.length + 1 >= MAX_SESSIONS) this.end(oldest.id);
    const session = {
      id: crypto.randomUUID(),
      key: `session:${crypto.randomUUID()}`,
      user,
      since: clock.now(),
    };
    const cancel = clock.later(() => this.end(session.id), lifetime);
    this.#all.set(session.id, { session, cancel });
    return session;
  }

  /** The session with an id; `undefined` when it has ended. */
  get(id: string): Session | undefined {
    return this.#all.get(id)?.session;
  }

  /** The sessions of a user, oldest first. */
  of(user: string): Session[] {
    return [...this.#all.values()].map(({ session }) => session).filter((one) => one.user === user);
  }

  /** Ends the session with an id, if there is one. */
  end(id: string): void {
    const ended = this.#all.get(id);
    if (!ended) return;
    this.#all.delete(id);
    ended.cancel();
    this.#options.onEnd(ended.session);
  }
}

/** Counts wrong passwords by name, also for names that do not exist, so as not to reveal which do. */
export class Guesses {
  readonly #clock: Clock;
  readonly #failures = new Map<string, { count: number; until: number }>();

  /** Starts without counts. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether there were too many wrong passwords for a name. */
  areTooMany(name: string): boolean {
    const failures = this.#failures.get(name);
    if (failures && failures.until <= this.#clock.now()) this.#failures.delete(name);
    return (this.#failures.get(name)?.count ?? 0) >= MAX_FAILURES;
  }

  /** Counts a wrong password for a name. */
  add(name: string): void {
    const until = this.#clock.now() + FAILURES_WITHIN;
    const count = (this.#failures.get(name)?.count ?? 0) + 1;
    this.#failures.delete(name); // set again below, as the newest
    this.#failures.set(name, { count, until });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MAX_NAMES) this.#failures.delete(oldest!);
  }

  /** Forgets the wrong passwords for a name, after the right one. */
  forget(name: string): void {
    this.#failures.delete(name);
  }
}
