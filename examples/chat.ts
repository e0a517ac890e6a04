/**
 * Chat rooms. A reader is in a room while its page is open, because the page listens to the topic of the
 * room. Readers are counted over all nodes, where there are several. The messages are only in the memory of
 * the node that received them.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { getSignedCookie, setSignedCookie } from "hono/cookie";
import { acceptsStream, append, connectionId, html, type Markup } from "@turbo-deno/turbo";
import { remove, replace, streamResponse, type Streams, Turbo } from "@turbo-deno/turbo";
import type { TurboOptions } from "@turbo-deno/turbo";
import { cookieOptions, errorHandler, type Example } from "./layout.ts";
import { field, frontOf, layout, reporter } from "./layout.ts";
import { run } from "./run.ts";

/** A message. */
export interface Line {
  /** Its number. */
  id: number;
  /** The name of its author. */
  name: string;
  /** The messages, oldest first. */
  text: string;
  /** When it was sent, in milliseconds since 1970. */
  at: number;
}

/** A room and its latest messages. */
export interface Room {
  /** Its name in the path. */
  slug: string;
  /** Its name in the pages. */
  title: string;
  /** The latest messages, oldest first. */
  lines: Line[];
}

/** The content of the form. */
export interface Draft {
  /** The name of the author. */
  name: string;
  /** The text that was typed. */
  text: string;
  /** The error message. */
  error?: string | undefined;
}

/** A clock and its timers. */
export interface Clock {
  /** The time in milliseconds, which never goes back. */
  now(): number;
  /** Calls a function once, after some milliseconds. The function that it returns cancels the call. */
  later(run: () => void, milliseconds: number): () => void;
}

const LINES_ID = "lines";
const FORM_ID = "say";
const PRESENCE_ID = "presence";
const COOKIE = "chat-reader";
const MAX_LINES = 100;
const MAX_NAME = 40;
const MAX_TEXT = 500;
/** Least milliseconds between two pushes of a node about the number of readers in a room. */
const PRESENCE_INTERVAL = 1_000;
const CLOCK: Clock = {
  now: () => performance.now(),
  later(run, milliseconds) {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** Creates the example, without a server. */
export function createApp(
  { clock = CLOCK, ...options }: TurboOptions & { clock?: Clock } = {},
): Example {
  const rooms: Room[] = ["Lobby", "Garden", "Attic"].map((title) => (
    { slug: title.toLowerCase(), title, lines: [] }
  ));
  const turbo = new Turbo({
    ...options,
    onPresence(whom) {
      for (const one of whom) if (typeof one === "object") paces.get(one.topic)?.ask();
    },
    // When the last page has left, a waiting push is sent at once, so that no timer keeps running.
    onChange() {
      if (turbo.size === 0) paces.forEach((pace) => pace.finish());
    },
  });
  // Several nodes need the same key; otherwise a reader has another id on each of them.
  const cookieKey = `cookie ${options.secret ?? crypto.randomUUID()}`;
  const paces = new Map(rooms.map((room) => {
    const topic = topicOf(room);
    return [topic, new Pace(() => turbo.push(() => showHere(room), { topic }), clock)];
  }));
  const hono = new Hono();
  let lastId = 0;

  hono.onError(errorHandler(reporter(options)));
  hono.use(...frontOf(turbo, { as: readerOf }));
  hono.route("/inspector", turbo.inspector());
  hono.get("/", (c) => c.redirect(pathOf(rooms[0]!), 303));

  hono.get("/rooms/:slug", (c) => {
    const room = roomAt(c);
    return room ? page(c, room) : c.notFound();
  });

  hono.post("/rooms/:slug", async (c) => {
    const room = roomAt(c);
    if (!room) return c.notFound();
    const draft = { name: await field(c, "name"), text: await field(c, "text") };
    const error = problemWith(draft);
    if (error !== undefined) {
      if (!acceptsStream(c.req.raw)) return page(c, room, { ...draft, error });
      const form = replace(FORM_ID, sayForm(room, { ...draft, error }));
      return streamResponse(c, form, { status: 422 });
    }
    say(room, draft, connectionId(c.req.raw));
    if (!acceptsStream(c.req.raw)) return c.redirect(pathOf(room), 303);
    // The sender's page gets the whole list, with the cursor taken after the push, because a message that
    // another reader sent at the same time may still be on its way to this page and belongs above.
    return streamResponse(c, [
      replace(LINES_ID, lineList(room.lines), { morph: true }),
      replace(FORM_ID, sayForm(room, { name: draft.name, text: "" })),
    ], { cursor: turbo.cursor });
  });

  function say(room: Room, { name, text }: Draft, except: string | undefined): void {
    const line = { id: ++lastId, name: name.trim(), text: text.trim(), at: Date.now() };
    room.lines.push(line);
    const old = room.lines.splice(0, room.lines.length - MAX_LINES);
    const topic = topicOf(room);
    turbo.push(append(LINES_ID, lineItem(line)), { topic, except });
    // In separate pushes, because the log can delete an `append` only where that is an entry of its own.
    for (const line of old) turbo.push(remove(lineId(line)), { topic });
  }

  function countIn(room: Room): number {
    return turbo.present({ topic: topicOf(room) }).count;
  }

  /** The streams that show how many readers are in a room; none where nobody is there to see them. */
  function showHere(room: Room): Streams {
    const here = countIn(room);
    return here === 0 ? [] : replace(PRESENCE_ID, presence(here));
  }

  /** The id in the browser's cookie, where this app has signed it. All tabs of a browser have the same. */
  async function readerOf(c: Context): Promise<string | undefined> {
    return await getSignedCookie(c, cookieKey, COOKIE) || undefined;
  }

  function roomAt(c: Context): Room | undefined {
    return rooms.find(({ slug }) => slug === c.req.param("slug"));
  }

  async function page(c: Context, room: Room, draft?: Draft): Promise<Response> {
    if (await readerOf(c) === undefined) {
      await setSignedCookie(c, COOKIE, crypto.randomUUID(), cookieKey, cookieOptions(c));
    }
    const head = turbo.head(c, { topics: [topicOf(room)] });
    const here = countIn(room);
    return c.html(chatPage(head, { room, rooms, here, draft }), draft ? 422 : 200);
  }

  return { hono, turbo };
}

/** Acts at most once a second: at once, or one second after the last time. */
class Pace {
  readonly #act: () => void;
  readonly #clock: Clock;
  #next = -Infinity;
  #cancel: (() => void) | undefined;

  /** Starts without a timer. */
  constructor(act: () => void, clock: Clock) {
    this.#act = act;
    this.#clock = clock;
  }

  /** Acts as soon as allowed. */
  ask(): void {
    if (this.#cancel) return;
    const early = this.#next - this.#clock.now();
    if (early <= 0) this.#run();
    else this.#cancel = this.#clock.later(() => this.#run(), early);
  }

  /** Acts now if an action waits, and ends the timer. */
  finish(): void {
    if (this.#cancel) this.#run();
  }

  #run(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#next = this.#clock.now() + PRESENCE_INTERVAL;
    this.#act();
  }
}

function topicOf({ slug }: Room): string {
  return `room:${slug}`;
}

function pathOf({ slug }: Room): string {
  return `/rooms/${encodeURIComponent(slug)}`;
}

function problemWith({ name, text }: Draft): string | undefined {
  if (name.trim() === "") return "Say who you are";
  if (name.trim().length > MAX_NAME) return `A name has at most ${MAX_NAME} characters`;
  if (text.trim() === "") return "Say something";
  if (text.trim().length > MAX_TEXT) return `That is longer than ${MAX_TEXT} characters`;
}

/** A room's page. */
export function chatPage(
  head: Markup,
  { room, rooms, here, draft }: {
    room: Room;
    rooms: readonly Room[];
    here: number;
    draft?: Draft | undefined;
  },
): Markup {
  return layout(
    { head, title: room.title },
    html`
      <nav aria-label="Rooms">
        ${rooms.map((other) =>
          other.slug === room.slug
            ? html`<a href="${pathOf(other)}" aria-current="page">${other.title}</a>`
            : html`<a href="${pathOf(other)}">${other.title}</a>`
        )}
      </nav>
      ${presence(here)}
      <div class="scroll" tabindex="0" role="log" aria-label="Messages">
        ${lineList(room.lines)}
      </div>
      ${sayForm(room, draft)}
    `,
  );
}

/** The number of readers in the room. */
export function presence(here: number): Markup {
  return html`
    <p id="${PRESENCE_ID}" class="note">${here} here</p>
  `;
}

/** The messages, oldest first. */
export function lineList(lines: readonly Line[]): Markup {
  return html`<ol id="${LINES_ID}">${lines.map(lineItem)}</ol>`;
}

/** One message. */
export function lineItem(line: Line): Markup {
  const time = new Date(line.at).toISOString();
  return html`
    <li id="${lineId(line)}">
      <time datetime="${time}">${time.slice(11, 16)} UTC</time>
      <strong>${line.name}</strong> ${line.text}
    </li>
  `;
}

function lineId({ id }: Line): string {
  return `line-${id}`;
}

/** The form that sends a message. */
export function sayForm(room: Room, { name, text, error }: Draft = { name: "", text: "" }): Markup {
  return html`
    <form id="${FORM_ID}" class="fields" method="post" action="${pathOf(room)}">
      <label for="name">Your name</label>
      <input id="name" name="name" value="${name}" maxlength="${MAX_NAME}" autocomplete="nickname">
      <label for="text">Message</label>
      <input id="text" name="text" value="${text}" maxlength="${MAX_TEXT}" autocomplete="off"
        aria-describedby="say-error" aria-invalid="${error === undefined ? "false" : "true"}">
      <p id="say-error" class="error" role="alert">${error ?? ""}</p>
      <button id="say-button">Send</button>
    </form>
  `;
}

if (import.meta.main) await run("chat", "Rooms to talk in.", createApp);
