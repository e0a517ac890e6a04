/**
 * What the inspector shows, as plain data.
 *
 * @module
 */
import type { Admission, Visitor } from "./admission.ts";
import type { Connection } from "./connection.ts";
import { type History, type PageRecord, type PushRecord, recordOf } from "./inspector_history.ts";
import type { ReasonedPage } from "./inspector_reasons.ts";
import type { Log } from "./log.ts";
import type { Readers } from "./readers.ts";
import type { Staleness } from "./staleness.ts";
import type { Upgrade } from "./websocket.ts";

/** The state of a page's connection. */
export type PageState = "current" | "behind" | "opening" | "closing" | "gone";

/** A page, as the inspector shows it. */
export interface PageView extends ReasonedPage {
  /** Its state. `closing`: the server has closed it, and the system has not reported the end. */
  readonly state: PageState;
  /** How its messages reach it. */
  readonly transport: string;
  /** How many entries it is owed; `undefined` where some of them are dropped already. */
  readonly owed: number | undefined;
  /** When the oldest entry that it is owed was pushed, in milliseconds since 1970. */
  readonly owedSince: number | undefined;
  /** Bytes that wait to be sent. */
  readonly buffered: number;
}

/** A target, over the pushes that are remembered. */
export interface TargetView {
  /** An id after `#`, or a selector. */
  readonly target: string;
  /** The actions of the pushes. */
  readonly actions: readonly string[];
  /** How many pushes have it. */
  readonly pushes: number;
  /** The position of the last of them. */
  readonly last: number;
  /** How often a page was sent one of them. */
  readonly sent: number;
  /** How often a page had no such element. */
  readonly missed: number;
  /** The id that was probably meant. */
  readonly near: string | undefined;
  /** Whether no page had it at the last push of which that is known. */
  readonly isLost: boolean;
}

/** Everything that the first page of the inspector shows. */
export interface Snapshot {
  /** The newest cursor. */
  readonly cursor: string;
  /** How old the open pages are, as they report it. */
  readonly staleness: Staleness;
  /** Entries in the log. */
  readonly entries: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Why the engine is away. */
  readonly away: string | undefined;
  /** How many open pages there are, ... */
  readonly open: number;
  /** ... and how many of those are behind. */
  readonly behind: number;
  /** Connections that are opening, ... */
  readonly opening: number;
  /** ... and those that were closed and whose end is not reported. */
  readonly closing: number;
  /** The pages shown: those with the largest lag first. */
  readonly pages: readonly PageView[];
  /** The last pushes, newest first. */
  readonly pushes: readonly PushRecord[];
  /** Their targets: those that no page had first. */
  readonly targets: readonly TargetView[];
}

/** What the inspector observes. */
export interface Observed {
  /** The log. */
  readonly log: Log;
  /** The connections. */
  readonly readers: Readers;
  /** Those that are opening. */
  readonly admission: Admission;
  /** The prefix of the app that only the app can tell: the option `base`. */
  readonly base: string;
  /** Why the engine is away. */
  away(): string | undefined;
  /** Upgrades a request to a WebSocket, as the app does. */
  readonly upgrade: Upgrade;
  /** Reports an error. */
  report(message: string, error: unknown): void;
}

/** How many pages are shown. */
export const MAX_PAGES = 100;
/** How many targets are shown. */
const MAX_TARGETS = 50;
/** Milliseconds in which pages tell that they miss a target. */
const TELLING = 3_000;

/** Takes a snapshot. */
export function snapshotOf(
  observed: Observed,
  history: History,
  now: number = Date.now(),
): Snapshot {
  const { log, readers, admission } = observed;
  const open = [...readers.open].map(([connection, visitor]) =>
    pageOf(connection, visitor, { observed, history })
  );
  const opening = [...admission.opening].map(openingPage);
  const closing = [...readers.closing].map(([connection, visitor]) =>
    pageOf(connection, visitor, { observed, history, isClosing: true })
  );
  const pushes = [...history.pushes].reverse();
  return {
    cursor: log.cursor,
    staleness: readers.staleness,
    entries: log.size,
    bytes: log.bytes,
    away: observed.away(),
    open: open.length,
    behind: open.filter(({ state }) => state === "behind").length,
    opening: opening.length,
    closing: closing.length,
    pages: [...open, ...opening, ...closing].sort(byLag).slice(0, MAX_PAGES),
    pushes,
    targets: targetsOf(pushes, now),
  };
}

/** A page by the number of its connection, also where that has ended lately. */
export function pageByNumber(
  number: number,
  observed: Observed,
  history: History,
): PageView | undefined {
  for (const isClosing of [false, true]) {
    const connections = isClosing ? observed.readers.closing : observed.readers.open;
    for (const [connection, visitor] of connections) {
      if (history.page(connection)?.number !== number) continue;
      return pageOf(connection, visitor, { observed, history, isClosing });
    }
  }
  const record = history.gone.find((gone) => gone.number === number);
  return record && {
    ...NOWHERE,
    record,
    state: "gone",
    had: Math.max(record.from, ...record.sent),
  };
}

/** How often a page is asked about one position. */
const MAX_ASKED = 3;

/** Milliseconds between two questions to a page. */
const ASK_INTERVAL = 1_000;

/** Asks the pages that have not reported the newest position what they show. */
export function askPages(
  { log, readers }: Observed,
  history: History,
  now: number = Date.now(),
): void {
  const { position } = log;
  const open: Connection[] = [];
  for (const [connection] of readers.open) {
    const page = history.page(connection);
    if (!page || connection.shown >= position || !connection.reports) continue;
    const { asked } = page;
    if (asked && Math.abs(now - asked.at) < ASK_INTERVAL) continue;
    const times = asked?.position === position ? asked.times : 0;
    if (times >= MAX_ASKED) continue;
    page.asked = { position, times: times + 1, at: now };
    open.push(connection);
  }
  readers.ask(open);
}

function pageOf(
  connection: Connection,
  visitor: Visitor,
  { observed: { log }, history, isClosing = false }: {
    observed: Observed;
    history: History;
    isClosing?: boolean;
  },
): PageView {
  const { position, names, page: id, carrier } = connection;
  const isOwed = position !== undefined && !isClosing;
  const batch = isOwed ? log.after(position, names) : undefined;
  const entries = batch === "gap" ? undefined : batch?.entries ?? [];
  const oldest = entries?.[0];
  return {
    record: history.page(connection) ?? UNFOLLOWED,
    names,
    id,
    had: position,
    shown: connection.shown < 0 ? undefined : connection.shown,
    state: isClosing ? "closing" : isOwed ? "behind" : "current",
    transport: visitor.transport,
    owed: entries?.length,
    owedSince: oldest && history.push(oldest.position)?.at,
    buffered: carrier.buffered,
  };
}

/** Of a connection beyond those that are followed. */
const UNFOLLOWED: PageRecord = recordOf({ number: 0, since: 0, from: 0 });

/** A page without a connection. */
const NOWHERE = {
  record: UNFOLLOWED,
  names: new Set<string>(),
  id: undefined,
  had: undefined,
  shown: undefined,
  transport: "",
  owed: 0,
  owedSince: undefined,
  buffered: 0,
};

function openingPage({ as, page, transport }: Visitor): PageView {
  return { ...NOWHERE, names: new Set(as), id: page, state: "opening", transport };
}

/** Those that are owed more come first, and the oldest of equal ones. */
function byLag(a: PageView, b: PageView): number {
  return (b.owed ?? Infinity) - (a.owed ?? Infinity) || b.buffered - a.buffered ||
    a.record.number - b.record.number;
}

/** The targets of pushes, which are given newest first. */
export function targetsOf(pushes: readonly PushRecord[], now: number): TargetView[] {
  const targets = new Map<
    string,
    {
      -readonly [key in keyof TargetView]: TargetView[key];
    }
  >();
  const isKnown = new Set<string>();
  for (const { at, position, streams, sent, sentToTelling } of pushes) {
    for (const { target, action, missed, near } of streams) {
      if (target === "") continue;
      const view = targets.get(target) ?? {
        target,
        actions: [],
        pushes: 0,
        last: position,
        sent: 0,
        missed: 0,
        near: undefined,
        isLost: false,
      };
      targets.set(target, view);
      view.pushes++;
      view.sent += sent;
      view.missed += missed;
      view.near ??= near;
      if (!view.actions.includes(action)) view.actions = [...view.actions, action];
      // To remove what is not there is no mistake.
      if (action === "remove" || sent === 0 || isKnown.has(target)) continue;
      if (missed === 0 && now - at < TELLING) continue;
      isKnown.add(target);
      view.isLost = missed > 0 && missed >= sentToTelling;
    }
  }
  return [...targets.values()]
    .sort((a, b) => Number(b.isLost) - Number(a.isLost) || b.last - a.last)
    .slice(0, MAX_TARGETS);
}
