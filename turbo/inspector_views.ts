/**
 * The pages of the inspector: functions that return markup for plain data.
 *
 * @module
 */
import { whomOf } from "./audience.ts";
import { html, type Markup } from "./html.ts";
import type { PageRecord, PushedStream, PushRecord } from "./inspector_history.ts";
import { leftText, namesText, type Reason, reasonOf } from "./inspector_reasons.ts";
import { MAX_PAGES, type PageView, type Snapshot, type TargetView } from "./inspector_snapshot.ts";

/** What a page shows, in the parts that are pushed: each has the id of its element. */
export interface View {
  /** Parts that are replaced as a whole. */
  readonly parts: ReadonlyMap<string, Markup>;
  /** The rows of the list, newest first. */
  readonly rows: ReadonlyMap<string, Markup>;
}

/** What each page needs besides its content. */
export interface Frame {
  /** What `turbo.head(c)` returned. */
  readonly head: Markup;
  /** The path of the inspector. */
  readonly base: string;
  /** The path of the stylesheet. */
  readonly stylesheet: string;
  /** When the page was made, in milliseconds since 1970. */
  readonly at: number;
}

/** The id of the list of every page. */
export const LIST_ID = "pushes";

/** What the first page shows. */
export function overviewOf(snapshot: Snapshot, base: string): View {
  return {
    parts: new Map([
      ["lost", lostPart(snapshot.targets)],
      ["summary", summaryPart(snapshot)],
      ["pages", pagesPart(snapshot, base)],
      ["targets", targetsPart(snapshot.targets)],
    ]),
    rows: new Map(snapshot.pushes.map((push) => [rowId(push), pushRow(push)])),
  };
}

/** The first page. */
export function overviewPage({ parts, rows }: View, frame: Frame): Markup {
  return layout(
    "Inspector",
    frame,
    html`
      ${parts.get("lost")}
      ${parts.get("summary")}
      <div class="columns">
        <div>${parts.get("pages")}${parts.get("targets")}</div>
        <section aria-labelledby="log">
          <h2 id="log">Last pushes</h2>
          ${listOf(rows)}
        </section>
      </div>
    `,
  );
}

/** What the page about an open page shows. */
export function pageViewOf(page: PageView, pushes: readonly PushRecord[]): View {
  return {
    parts: new Map([["page", pagePart(page)]]),
    rows: new Map(pushes.map((push) => [rowId(push), reasonRow(push, reasonOf(push, page))])),
  };
}

/** The page about an open page. */
export function pagePage(number: number, { parts, rows }: View, frame: Frame): Markup {
  return layout(
    `Page ${number}`,
    frame,
    html`
      <p class="back"><a href="${frame.base}/">All pages</a></p>
      ${parts.get("page")}
      <section aria-labelledby="log">
        <h2 id="log">What became of the last pushes here</h2>
        ${listOf(rows)}
      </section>
    `,
  );
}

/** The answer for an address that does not exist. */
export function missingPage(frame: Frame): Markup {
  return layout(
    "Nothing here",
    frame,
    html`
      <p>Nothing at this address. The page that you look for may be gone.
        <a href="${frame.base}/">All pages</a></p>
    `,
  );
}

/** The list of a page. */
export function listOf(rows: View["rows"]): Markup {
  return html`
    <ol id="${LIST_ID}" class="rows" reversed>${[...rows.values()]}</ol>
  `;
}

function layout(title: string, { head, stylesheet, at }: Frame, content: Markup): Markup {
  return html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>${title}</title>
        <link rel="icon" href="data:,">
        <link rel="stylesheet" href="${stylesheet}" data-turbo-track="reload">
        ${head}
      </head>
      <body>
        <header>
          <h1>${title}</h1>
          <p class="live" role="status">
            <span class="now">live</span>
            <span class="then">as of ${time(at)}</span>
          </p>
        </header>
        <main>${content}</main>
      </body>
    </html>
  `;
}

function lostPart(targets: readonly TargetView[]): Markup {
  const lost = targets.filter(({ isLost }) => isLost);
  return html`
    <section id="lost" aria-label="Targets that no page had">
      ${lost.length > 0 && html`<ul>${lost.map(lostRow)}</ul>`}
    </section>
  `;
}

function lostRow({ target, actions, last, near }: TargetView): Markup {
  return html`
    <li><b>No page had <code>${target}</code></b>, which push
      <a href="#${rowIdOf(last)}">${last}</a> (${actions.join(", ")}) is for.
      ${near !== undefined && html`Did you mean <code>${near}</code>?`}</li>
  `;
}

function summaryPart(snapshot: Snapshot): Markup {
  const { cursor, staleness, entries, bytes, away, ...pages } = snapshot;
  return html`
    <dl id="summary">
      ${fact("Open pages", pages.open)}
      ${fact("Behind", pages.behind)}
      ${fact("Opening", pages.opening)}
      ${fact("Closing", pages.closing)}
      ${staleness.pages > 0 && fact("Age of the oldest page", seconds(staleness.max))}
      ${fact("In the log", `${entries}, ${size(bytes)}`)}
      ${fact("Cursor", html`<code>${cursor}</code>`)}
      ${away !== undefined && fact("Engine", `away: ${away}`)}
    </dl>
  `;
}

function fact(name: string, value: unknown): Markup {
  return html`
    <div>
      <dt>${name}</dt>
      <dd>${value}</dd>
    </div>
  `;
}

function pagesPart({ pages, open, opening, closing }: Snapshot, base: string): Markup {
  const more = open + opening + closing - pages.length;
  return html`
    <section id="pages" aria-labelledby="pages-name">
      <h2 id="pages-name">Open pages</h2>
      ${pages.length === 0
        ? html`<p>None. A page counts when its connection is open.</p>`
        : html`<ul class="rows">${pages.map((page) => pageRow(page, base))}</ul>`}
      ${more > 0 && html`<p>And ${more} more: the ${MAX_PAGES} with the largest lag are shown.</p>`}
    </section>
  `;
}

function pageRow(page: PageView, base: string): Markup {
  const { record, state } = page;
  const { number, path } = record;
  const name = html`<b>${number === 0 ? "–" : number}</b> ${path || "page"}`;
  return html`
    <li class="${state}">
      <p>${number === 0 ? name : html`<a href="${base}/page/${number}">${name}</a>`}
        <span class="tag">${state}</span></p>
      <p>${whoText(page)} · ${page.transport} ${record.since > 0 &&
        html`since ${time(record.since)}`}</p>
      <p>${lagText(page)}</p>
    </li>
  `;
}

function pagePart(page: PageView): Markup {
  const { record, id, state, transport, buffered } = page;
  return html`
    <section id="page" aria-label="The page">
      <dl class="${state}">
        ${fact("State", html`<span class="tag">${state}</span>`)}
        ${fact("Path", record.path || "not told")}
        ${fact("Reader and topics", whoText(page))}
        ${fact("Lag", lagText(page))}
        ${fact(
          "Connection",
          html`${transport} since ${time(record.since)}, ${size(buffered)} wait`,
        )}
        ${fact("Began", resumedText(record))}
        ${fact("Id of the page", html`<code>${id ?? "none"}</code>`)}
        ${record.ended &&
          fact("Ended", html`${time(record.ended.at)}: ${record.ended.reason ?? "by the page"}`)}
      </dl>
      ${record.path === undefined && state !== "gone" && html`
        <p>It does not tell which targets it misses: only a page on a loopback address does, and only over a
          WebSocket.</p>
      `}
    </section>
  `;
}

function whoText({ names }: PageView): string {
  const all = [...names].map(whomOf);
  const readers = all.flatMap((whom) => typeof whom === "string" ? [`"${whom}"`] : []);
  const topics = all.flatMap((whom) => typeof whom === "string" ? [] : [`"${whom.topic}"`]);
  return [
    readers.length === 0 ? "nobody by name" : `reader ${readers.join(", ")}`,
    topics.length === 0
      ? "no topic"
      : `${topics.length === 1 ? "topic" : "topics"} ${topics.join(", ")}`,
  ].join(" · ");
}

function lagText({ state, had, owed, owedSince, buffered, shown, record }: PageView): Markup {
  if (state === "opening") return html`Its connection is opening`;
  if (state === "closing") return html`Closed by the server; the end is not reported yet`;
  if (state === "gone") return html`Gone`;
  const waiting = buffered > 0 ? `, ${size(buffered)} wait to be sent` : "";
  const shows = shown === undefined ? "" : `, shows ${shown}`;
  if (had === undefined) {
    const joined = record.resumed && line("; ", resumedText(record));
    return line("Was sent everything", waiting, shows, joined);
  }
  const count = owed === undefined
    ? "the whole page, because the log had a gap"
    : `${owed} after ${had}`;
  const since = owedSince !== undefined && line(" since ", time(owedSince));
  return line("Is owed ", count, since, waiting, shows);
}

const OUTCOMES = {
  nothing: "it missed nothing",
  replay: "it was sent what it had missed",
  refresh: "it was told to fetch itself",
};

function resumedText({ resumed, since }: PageRecord): Markup {
  if (!resumed) return html`with nothing asked, at ${time(since)}`;
  const { at, cursor, position, outcome } = resumed;
  const from = position ?? `${cursor}, which is of another log`;
  return html`asked at ${time(at)} from ${from}: ${OUTCOMES[outcome]}`;
}

function targetsPart(targets: readonly TargetView[]): Markup {
  return html`
    <section id="targets" aria-labelledby="targets-name">
      <h2 id="targets-name">Targets</h2>
      ${targets.length === 0 ? html`<p>Nothing has been pushed yet.</p>` : html`
        <table>
          <thead>
            <tr>
              <th scope="col">target</th>
              <th scope="col">pushes</th>
              <th scope="col">sent</th>
              <th scope="col">without it</th>
              <th scope="col">last</th>
            </tr>
          </thead>
          <tbody>${targets.map(targetRow)}</tbody>
        </table>
      `}
    </section>
  `;
}

function targetRow({ target, pushes, sent, missed, last, isLost }: TargetView): Markup {
  return html`
    <tr class="${isLost ? "lost" : ""}">
      <th scope="row"><code>${target}</code></th>
      <td>${pushes}</td>
      <td>${sent}</td>
      <td>${missed}</td>
      <td><a href="#${rowIdOf(last)}">${last}</a></td>
    </tr>
  `;
}

function pushRow(push: PushRecord): Markup {
  const { position, at, left, readers, sent, shown, bytes, to, except } = push;
  const missed = Math.max(0, ...push.streams.map(missedOf));
  const forNobody = readers === 0 && html`<b class="warm">for no open page</b>`;
  const forText = readers !== undefined && line(" · ", forNobody || `for ${readers}`);
  const missingText = missed > 0 && line(" · ", html`<b class="bad">missing at ${missed}</b>`);
  return html`
    <li id="${rowId(push)}" class="${left ? "left" : "kept"}">
      <details>
        <summary>
          <b>${position}</b> ${streamsText(push)}
          <span class="tag">${left ? shortly(left) : "in the log"}</span>
          <small>${time(at)}${forText} · sent to ${sent} · shown by
            ${Math.max(0, shown - missed)}${missingText}</small>
        </summary>
        <dl>
          ${fact("For", to === undefined ? "everyone" : namesText(to))}
          ${except !== undefined && fact("Left out", line("page ", html`<code>${except}</code>`))}
          ${fact(
            "State",
            left ? leftText(left) : "in the log",
          )}
          ${fact("Size", size(bytes))}
        </dl>
        ${contentOf(push)}
      </details>
    </li>
  `;
}

function reasonRow(push: PushRecord, { outcome, text }: Reason): Markup {
  return html`
    <li id="${rowId(push)}" class="${outcome.replaceAll(" ", "-")}">
      <details>
        <summary>
          <b>${push.position}</b> ${streamsText(push)} <span class="tag">${outcome}</span>
          <small>${time(push.at)} · ${text}</small>
        </summary>
        ${contentOf(push)}
      </details>
    </li>
  `;
}

function contentOf({ html: content, bytes }: PushRecord): Markup {
  const isCut = content.length < bytes && new TextEncoder().encode(content).length < bytes;
  return html`<pre tabindex="0">${content}${isCut ? "…" : ""}</pre>`;
}

function shortly({ why, by }: NonNullable<PushRecord["left"]>): string {
  return by === undefined ? why : `${why} by ${by}`;
}

function streamsText({ streams, more }: PushRecord): Markup {
  const shown = streams.slice(0, 3);
  const rest = streams.length - shown.length + more;
  const list = shown.map((stream, index) => line(index > 0 && ", ", streamText(stream)));
  return line(list, rest > 0 && ` and ${rest} more`);
}

function streamText({ action, target }: PushedStream): Markup {
  return line(action, target !== "" && line(" ", html`<code>${target}</code>`));
}

/** To remove what is not there is no mistake. */
function missedOf({ action, missed }: PushedStream): number {
  return action === "remove" ? 0 : missed;
}

function rowId({ position }: PushRecord): string {
  return rowIdOf(position);
}

function rowIdOf(position: number): string {
  return `push-${position}`;
}

/** Texts and markup in a line, without the white space that a template on several lines would have. */
function line(...parts: readonly unknown[]): Markup {
  return html`${parts}`;
}

/** A time of the day, as the clock of the server shows it. */
function time(at: number): Markup {
  const date = new Date(at);
  const two = (n: number) => String(n).padStart(2, "0");
  const text = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return html`<time datetime="${date.toISOString()}">${text}</time>`;
}

function seconds(milliseconds: number): string {
  return milliseconds < 1_000
    ? `${Math.round(milliseconds)} ms`
    : `${Math.round(milliseconds / 1_000)} s`;
}

function size(bytes: number): string {
  return bytes < 1_000
    ? `${bytes} B`
    : bytes < 1_000_000
    ? `${(bytes / 1_000).toFixed(1)} kB`
    : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
