/**
 * The markup in the `<head>` of a page: the scripts, and what the browser's side has to know.
 *
 * @module
 */
import { checkReader, checkTopics } from "./audience.ts";
import { html, type Markup } from "./html.ts";
import type { PageOptions, ResolvedOptions } from "./options.ts";
import { REPORT_INTERVAL } from "./protocol.ts";
import { readerMark } from "./reader_mark.ts";
import type { Scripts } from "./scripts.ts";
import type { Signer } from "./token.ts";

/** What the head of one page says. */
export interface PageHead {
  /** The position in the log up to which the page shows everything. */
  readonly cursor: string;
  /** The path below which the app is seen from outside. */
  readonly base: string;
  /** The topics that it listens to. */
  readonly topics: readonly string[];
  /** Whether it keeps its connection while its tab is hidden. */
  readonly background: boolean;
  /** The only reader that may use the topics; `undefined` where that is anyone who has the page. */
  readonly reader: string | undefined;
  /** All names of the reader for whom it is. Default: `reader`. */
  readonly names?: readonly string[];
  /** The nonce of its content security policy. */
  readonly nonce?: string;
}

/** What all pages of an app have in common. */
export interface AppHead extends Pick<ResolvedOptions, "path" | "reportInterval"> {
  /** Where Turbo itself is, if not among the scripts. */
  readonly turboUrl: string | undefined;
  /** The scripts. */
  readonly scripts: Scripts;
  /** Signs the topics. */
  readonly signer: Signer;
  /** Whether the pages say for an inspector which targets they do not have. */
  readonly isInspected: boolean;
  /** How many pages are open now. */
  readonly pages: number;
}

/** Pages that may reconnect in a second, after the server has been away. */
const RECONNECTS = 50;

/**
 * What the options of `head` say of a page.
 *
 * @throws {TypeError | RangeError} when a topic or the reader is not allowed
 */
export function checkedPage(
  options: PageOptions,
): Pick<PageHead, "topics" | "reader" | "background"> {
  const { topics = [], background = false } = options;
  checkTopics("head()", topics);
  const reader = "as" in options ? checkReader("head()", "as", options.as as string) : undefined;
  return { topics, reader, background };
}

/**
 * The markup of a page's head.
 *
 * @throws {RangeError} when all topics together are more than a page can send back in one message
 */
export function headOf(page: PageHead, app: AppHead): Markup {
  const { cursor, base, topics, background, reader, nonce } = page;
  const { names = reader === undefined ? [] : [reader] } = page;
  const { path, turboUrl, scripts, signer, reportInterval, isInspected, pages } = app;
  const script = (url: string) =>
    html`<script type="module" src="${url}" data-turbo-track="reload"></script>`;
  const policy = nonce === undefined ? "" : html`<meta name="csp-nonce" content="${nonce}">`;
  const first = html`${policy}${script(turboUrl ?? base + scripts.turbo.path)}`;
  if (path === null) return first;
  const stream = base + path;
  const token = topics.length === 0
    ? ""
    : signer.sign({ path: stream, topics, reader, from: cursor });
  const inBackground = background
    ? html`
      data-background="true"
    `
    : "";
  const reports = reportInterval === REPORT_INTERVAL ? "" : html`
    data-report="${reportInterval}"
  `;
  const inspected = isInspected
    ? html`
      data-inspect="true"
    `
    : "";
  const [keep, client, spread] = [
    base + scripts.keep.path,
    base + scripts.client.path,
    spreadOf(pages),
  ];
  return html`
    <link rel="modulepreload" href="${keep}">${first}${script(client)}
    <meta name="turbo-cursor" content="${cursor}" data-stream="${stream}" data-token="${token}"
      data-reader="${readerMark(
        names,
      )}" data-spread="${spread}" ${inBackground}${reports}${inspected}>
  `;
}

/**
 * Milliseconds over which pages reconnect when the server has been away, for the number of pages that are
 * open now. A page that is open keeps its value, so the many pages of a server have the long ones. In powers
 * of two, because readers need not know the number.
 */
function spreadOf(pages: number): number {
  const seconds = Math.max(1, pages) / RECONNECTS;
  return Math.min(8_000, Math.max(500, 1_000 * 2 ** Math.ceil(Math.log2(seconds))));
}
