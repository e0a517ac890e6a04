/**
 * Why a page shows a push, or does not.
 *
 * @module
 */
import { type Whom, whomOf } from "./audience.ts";
import { missKey, type PageRecord, type PushRecord } from "./inspector_history.ts";

/** What became of a push at a page. */
export type Outcome =
  | "not for it"
  | "came with the page"
  | "shown"
  | "sent"
  | "no target"
  | "nothing to remove"
  | "superseded"
  | "owed"
  | "lost"
  | "unknown";

/** What became of a push at a page, with the reason in a sentence. */
export interface Reason {
  /** The kind. */
  readonly outcome: Outcome;
  /** The sentence, without a full stop. */
  readonly text: string;
}

/** A page as the reasons need it. */
export interface ReasonedPage {
  /** What it was sent. */
  readonly record: PageRecord;
  /** The names that it listens to. */
  readonly names: ReadonlySet<string>;
  /** The id of the page. */
  readonly id: string | undefined;
  /** It has had everything up to this position; `undefined` when it has had all. */
  readonly had: number | undefined;
  /** The newest position that it has said to show; `undefined` where it has said nothing. */
  readonly shown: number | undefined;
}

/** What became of a push at a page. */
export function reasonOf(push: PushRecord, page: ReasonedPage): Reason {
  const { position, to, except, left } = push;
  const { record, names, id, had = Infinity, shown = -1 } = page;
  if (except !== undefined && except === id) {
    return { outcome: "not for it", text: "Not for it: the push leaves this page out (except)" };
  }
  if (to !== undefined && !to.some((name) => names.has(name))) {
    return { outcome: "not for it", text: `Not for it: the push is for ${namesText(to)}` };
  }
  if (position <= record.from) {
    return {
      outcome: "came with the page",
      text: `Came with the page, which was rendered after it (at ${record.from})`,
    };
  }
  if (record.sent.has(position)) return reasonOfSent(push, record, shown >= position);
  if (record.refreshed !== undefined && position <= record.refreshed) {
    return {
      outcome: "lost",
      text: "Not sent: the log had dropped a push that the page needs, so the page was told to " +
        "fetch itself",
    };
  }
  if (left?.by !== undefined) {
    return { outcome: "superseded", text: `Not sent: ${leftText(left)} before that` };
  }
  if (left) return { outcome: "lost", text: `Not sent: it is ${leftText(left)}` };
  if (position > had) {
    return { outcome: "owed", text: "Owed: the page is behind, and is sent it when it takes more" };
  }
  return { outcome: "unknown", text: "Unknown: the push is older than what is remembered here" };
}

function reasonOfSent(
  { position, streams }: PushRecord,
  { missed }: PageRecord,
  isShown: boolean,
): Reason {
  const lost = streams.filter(({ target }) => missed.has(missKey(position, target)));
  const first = lost.find(({ action }) => action !== "remove");
  if (first) {
    const near = missed.get(missKey(position, first.target));
    const meant = near === undefined ? "" : `. Did you mean "${near}"?`;
    return { outcome: "no target", text: `Sent, and the page has no ${first.target}${meant}` };
  }
  if (lost[0]) {
    const text = `Sent, and the page has no ${lost[0].target} that could be removed`;
    return { outcome: "nothing to remove", text };
  }
  return isShown
    ? { outcome: "shown", text: "Sent and shown" }
    : { outcome: "sent", text: "Sent; the page has not reported yet that it shows it" };
}

/** Why an entry is not in the log, after "it is". */
export function leftText({ why, by }: NonNullable<PushRecord["left"]>): string {
  switch (why) {
    case "superseded":
      return `superseded by ${by}`;
    case "removed":
      return `removed by ${by}, which removes its element`;
    case "expired":
      return "dropped because of its age (maxAge)";
    case "full":
      return "dropped because the log was full (maxEntries, maxBytes)";
    case "too large":
      return "not kept because it is larger than the log (maxBytes)";
    case "for nobody":
      return "for an empty list of names, so for nobody";
  }
}

/** Whom an audience names, in words. */
export function namesText(names: readonly string[]): string {
  const all = names.map(whomOf).map(whomText);
  const shown = all.slice(0, 5).join(", ");
  return all.length === 0
    ? "nobody"
    : all.length > 5
    ? `${shown} and ${all.length - 5} more`
    : shown;
}

function whomText(whom: Whom): string {
  return typeof whom === "string" ? `the reader "${whom}"` : `the topic "${whom.topic}"`;
}
