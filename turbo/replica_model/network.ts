/**
 * The way between the nodes of a model and its server: connections that are slow, that break at any
 * moment, and whose commands may be executed after the node has given them up. And time.
 *
 * @module
 */
import type { Event } from "../replica.ts";
import type { Command, Reply } from "../stream_commands.ts";
import type { ModelServer } from "./server.ts";

/** What is to happen at some time. */
interface Due {
  readonly at: number;
  readonly run: () => void;
}

/** Time, which goes on from one thing that happens to the next. */
export class Timeline {
  /** Milliseconds. */
  now = 0;
  #due: Due[] = [];

  /** Has something happen later. What is due at one time happens in the order in which it was asked for. */
  later(run: () => void, milliseconds: number): void {
    const at = this.now + milliseconds;
    const index = this.#due.findLastIndex((due) => due.at <= at);
    this.#due.splice(index + 1, 0, { at, run });
  }

  /** Goes on. */
  advance(milliseconds: number): void {
    const end = this.now + milliseconds;
    while (this.#due.length > 0 && this.#due[0]!.at <= end) {
      const { at, run } = this.#due.shift()!;
      this.now = at;
      run();
    }
    this.now = end;
  }
}

type Way = "commands" | "reads";

/** Both connections of a node, from being opened to their end. */
export class Link {
  /** Whether the node hears of it. */
  isHeard = true;
  /** Whether what was sent still arrives. */
  arrives = true;
  /** Whether the node is told nothing of its end. */
  isMute = false;
  /** By how many milliseconds what is under way is late. */
  lateBy = 0;
  /** When the last one of each way arrives, as none overtakes another. */
  readonly arrivals: Record<Way, number> = { commands: 0, reads: 0 };
  readonly answers: Record<Way, number> = { commands: 0, reads: 0 };
  readonly hear: (event: Event) => void;

  /** Not open yet. */
  constructor(hear: (event: Event) => void) {
    this.hear = hear;
  }
}

const BLOCK = 1_000;
const CONNECT_TIMEOUT = 5_000;

/** All connections to one server. */
export class Network {
  readonly #server: ModelServer;
  readonly #time: Timeline;
  readonly #links = new Set<Link>();
  readonly #random: () => number;
  /** Milliseconds that anything takes one way, at least. */
  delay = 1;
  /** "frozen": it is there and does nothing. "unreachable": nothing comes back from it. */
  state: "up" | "down" | "frozen" | "unreachable" = "up";
  #frozen: (() => void)[] = [];

  /** A network without connections. */
  constructor(server: ModelServer, time: Timeline, random: () => number) {
    this.#server = server;
    this.#time = time;
    this.#random = random;
  }

  /** Opens connections. */
  connect(hear: (event: Event) => void): Link {
    const link = new Link(hear);
    this.#links.add(link);
    const accept = () => {
      if (!link.isHeard) return;
      if (this.state === "up") return hear({ type: "connected" });
      if (this.state === "frozen") return void this.#frozen.push(accept);
      if (this.state === "down") this.#lose(link, "refused");
    };
    this.#time.later(accept, this.#latency() * 2);
    this.#time.later(() => {
      if (link.arrivals.commands === 0) this.#lose(link, "too late");
    }, CONNECT_TIMEOUT);
    return link;
  }

  /** Sends a command. */
  send(link: Link, command: Command): void {
    const way = command.kind === "read" ? "reads" : "commands";
    const at = Math.max(link.arrivals[way], this.#time.now + this.#latency());
    link.arrivals[way] = at;
    this.#time.later(() => this.#arrive(link, way, command), at - this.#time.now);
  }

  /** A node gives its connections up; what it has sent may still arrive. */
  close(link: Link): void {
    link.isHeard = false;
  }

  /**
   * Breaks connections. What is under way from the node is lost, or `lateBy` milliseconds late; what is
   * under way to it is lost. It hears of that, unless `isMute`.
   */
  cut(link: Link, { lateBy = 0, isMute = false } = {}): void {
    link.arrives = lateBy > 0;
    link.lateBy = lateBy;
    link.isMute = true;
    if (!isMute) this.#lose(link, "cut");
  }

  /** The server ends, or its machine. */
  stop(state: "down" | "unreachable"): void {
    this.state = state;
    this.#frozen = [];
    for (const link of this.#links) this.cut(link, { isMute: state === "unreachable" });
    this.#links.clear();
  }

  /** The server goes on. */
  start(): void {
    this.state = "up";
    for (const run of this.#frozen.splice(0)) run();
  }

  #lose(link: Link, reason: string): void {
    if (!link.isHeard) return;
    link.isHeard = false;
    this.#links.delete(link);
    link.hear({ type: "lost", reason });
  }

  #arrive(link: Link, way: Way, command: Command, wasLate = false): void {
    if (!link.arrives) return;
    if (link.lateBy > 0 && !wasLate) {
      this.#time.later(() => this.#arrive(link, way, command, true), link.lateBy);
    } else if (this.state === "frozen") {
      this.#frozen.push(() => this.#arrive(link, way, command, true));
    } else if (this.state === "up") this.#execute(link, way, command);
  }

  #execute(link: Link, way: Way, command: Command): void {
    const answer = (reply: Reply) => this.#answer(link, way, reply);
    const outcome = this.#server.execute(command, answer);
    if (outcome === "blocked") {
      const unblock = () => this.#server.unblock(answer);
      this.#time.later(
        () => this.state === "frozen" ? this.#frozen.push(unblock) : unblock(),
        BLOCK,
      );
    } else if (outcome.kind === "error") {
      this.#time.later(() => this.#lose(link, outcome.reason), this.#latency());
    } else answer(outcome);
  }

  #answer(link: Link, way: Way, reply: Reply): void {
    const at = Math.max(link.answers[way], this.#time.now + this.#latency());
    link.answers[way] = at;
    this.#time.later(() => {
      if (link.isHeard && !link.isMute) link.hear({ type: "reply", reply });
    }, at - this.#time.now);
  }

  #latency(): number {
    return this.delay * (1 + this.#random());
  }
}
