/**
 * Who is logged in, for how long, and how often a password was guessed.
 *
 * @module
 */

/** A reader who is logged in, in one browser. */
export interface Session {
  /** What its cookie holds, and nothing else: nobody can guess it. */
  readonly id: string;
  /** What it is called in pages and in pushes. */
  readonly key: string;
  /** Whose it is. */
  readonly user: string;
  /** When it began, in milliseconds since 1970. */
  readonly since: number;
}

/** Time, as far as it is needed here. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls a function once, later; what it returns cancels that. */
  later(run: () => void, milliseconds: number): () => void;
}

/** How {@linkcode Sessions} are kept. */
export interface SessionsOptions {
  /** Milliseconds that each lasts. */
  lifetime: number;
  /** The time. */
  clock: Clock;
  /** One has ended, by its reader or by its time. */
  onEnd: (session: Session) => void;
}

/** Sessions of one user at a time: the oldest gives way. */
const MAX_SESSIONS = 5;
/** Wrong passwords for one name, and the milliseconds in which they count. */
const MAX_FAILURES = 5;
const FAILURES_WITHIN = 60_000;
/** Names that wrong passwords are counted for. */
const MAX_NAMES = 1_000;

/** The clock of this machine. */
export const CLOCK: Clock = {
  now: () => Date.now(),
  later(run, milliseconds) {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** All sessions, in memory. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #all = new Map<string, { session: Session; cancel: () => void }>();

  /** None yet. */
  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** Begins one, under an id that nobody has had before. */
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

  /** The one with an id, while it lasts. */
  get(id: string): Session | undefined {
    return this.#all.get(id)?.session;
  }

  /** Those of a user, oldest first. */
  of(user: string): Session[] {
    return [...this.#all.values()].map(({ session }) => session).filter((one) => one.user === user);
  }

  /** Ends one, where there is one. */
  end(id: string): void {
    const ended = this.#all.get(id);
    if (!ended) return;
    this.#all.delete(id);
    ended.cancel();
    this.#options.onEnd(ended.session);
  }
}

/** Counts wrong passwords by name, whether anybody has the name or not, so that it does not tell. */
export class Guesses {
  readonly #clock: Clock;
  readonly #failures = new Map<string, { count: number; until: number }>();

  /** None yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether there were too many for a name. */
  areTooMany(name: string): boolean {
    const failures = this.#failures.get(name);
    if (failures && failures.until <= this.#clock.now()) this.#failures.delete(name);
    return (this.#failures.get(name)?.count ?? 0) >= MAX_FAILURES;
  }

  /** Another one. */
  add(name: string): void {
    const until = this.#clock.now() + FAILURES_WITHIN;
    const count = (this.#failures.get(name)?.count ?? 0) + 1;
    this.#failures.delete(name); // so that it is the newest
    this.#failures.set(name, { count, until });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MAX_NAMES) this.#failures.delete(oldest!);
  }

  /** The password was right. */
  forget(name: string): void {
    this.#failures.delete(name);
  }
}
