/**
 * The time of a model, and the network between its nodes and its server: connections that are slow, that
 * break at any moment, and whose commands may be executed after the node has closed them.
 *
 * @module
 */
import type { Event } from "../replica.ts";
import type { Command, Reply } from "../stream_commands.ts";
import type { ModelServer } from "./server.ts";

/** Something that happens at some time. */
interface Due {
  readonly at: number;
  readonly run: () => void;
}

/** Simulated time, which moves from one event to the next. */
export class Timeline {
  /** The time now, in milliseconds. */
  now = 0;
  #due: Due[] = [];

  /** Schedules something. What is due at the same time happens in the order of the calls. */
  later(run: () => void, milliseconds: number): void {
    const at = this.now + milliseconds;
    const index = this.#due.findLastIndex((due) => due.at <= at);
    this.#due.splice(index + 1, 0, { at, run });
  }

  /** Lets time pass. */
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

/** Both connections of a node, from opening to their end. */
export class Link {
  /** Whether the node receives its events. */
  isHeard = true;
  /** Whether what the node has sent still arrives. */
  arrives = true;
  /** Whether the node does not learn of its end. */
  isMute = false;
  /** Milliseconds by which what is in transit is delayed. */
  lateBy = 0;
  /** The arrival time of the last message in each direction: messages cannot overtake each other. */
  readonly arrivals: Record<Way, number> = { commands: 0, reads: 0 };
  readonly answers: Record<Way, number> = { commands: 0, reads: 0 };
  readonly hear: (event: Event) => void;

  /** Starts unopened. */
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
  /** Least milliseconds in one direction. */
  delay = 1;
  /** `frozen`: the server accepts connections and does nothing. `unreachable`: nothing comes back from it. */
  state: "up" | "down" | "frozen" | "unreachable" = "up";
  #frozen: (() => void)[] = [];

  /** Starts without connections. */
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

  /** A node closes its connections; what it has sent may still arrive. */
  close(link: Link): void {
    link.isHeard = false;
  }

  /**
   * Breaks connections. What is in transit from the node is lost, or `lateBy` milliseconds late; what is
   * in transit to the node is lost. The node learns of the break unless `isMute`.
   */
  cut(link: Link, { lateBy = 0, isMute = false } = {}): void {
    link.arrives = lateBy > 0;
    link.lateBy = lateBy;
    link.isMute = true;
    if (!isMute) this.#lose(link, "cut");
  }

  /** The server, or its machine, stops. */
  stop(state: "down" | "unreachable"): void {
    this.state = state;
    this.#frozen = [];
    for (const link of this.#links) this.cut(link, { isMute: state === "unreachable" });
    this.#links.clear();
  }

  /** The server continues. */
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
