/**
 * Members with a session: who is here, notes for one of them, and what becomes of open pages when their
 * reader logs out or the session ends. Its pages are in JSX.
 *
 * Where a session ends, its pages fetch themselves, which brings them to the log-in page, and then its
 * connections are ended. A page that was away meanwhile comes back with a topic that was signed for its
 * reader: it is not given to anyone else, and so that page fetches itself, too.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { deleteCookie, getSignedCookie, setSignedCookie } from "hono/cookie";
import { createMiddleware } from "hono/factory";
import { createHash, timingSafeEqual } from "node:crypto";
import { acceptsStream, append, type Markup, refresh, remove, replace } from "@turbo-deno/turbo";
import { streamResponse, Turbo, type TurboOptions } from "@turbo-deno/turbo";
import { cookieOptions, errorHandler, type Example, field, frontOf, reporter } from "./layout.ts";
import {
  hereBox,
  homePage,
  IDS,
  loginPage,
  MAX_NAME,
  MAX_TEXT,
  type Note,
} from "./login_pages.tsx";
import { type LoginDraft, noteForm, noteId, noteItem, sessionList } from "./login_pages.tsx";
import type { NoteDraft } from "./login_pages.tsx";
import { CLOCK, type Clock, Guesses, type Session, Sessions } from "./login_sessions.ts";
import { run } from "./run.ts";

/** Options of the example. */
export interface LoginOptions extends TurboOptions {
  /** The time. */
  clock?: Clock;
  /** Milliseconds that a session lasts. Default half an hour. */
  lifetime?: number;
}

/** A context that knows who sends the request. */
export interface LoginEnv {
  /** Hono's name for it. */
  Variables: { session?: Session };
}

/** Passwords of the users, by name. An app that is more than an example keeps slow hashes of them. */
const PASSWORDS: ReadonlyMap<string, string> = new Map([["ann", "garden"], ["ben", "attic"]]);
const USERS: readonly string[] = [...PASSWORDS.keys()];
const COOKIE = "session";
const MAX_NOTES = 20;
/** What every member's page listens to. */
const MEMBERS = { topic: "members" };

/** What the log-in page says, by the query that leads to it. */
const NOTICES: Record<string, string> = {
  out: "You have logged out.",
  ended: "Your session has ended. Log in again.",
};

/** Wires the example together. Starts nothing. */
export function createApp(
  { clock = CLOCK, lifetime = 30 * 60_000, ...options }: LoginOptions = {},
): Example<LoginEnv> {
  const turbo = new Turbo({
    ...options,
    onPresence: () => void turbo.push(() => replace(IDS.here, hereBox(here())), MEMBERS),
  });
  const sessions = new Sessions({
    lifetime,
    clock,
    onEnd({ key, user }) {
      turbo.push(refresh(), { to: key });
      turbo.disconnect(key); // what was pushed before is sent before
      showSessions(user);
    },
  });
  const guesses = new Guesses(clock);
  const cookieKey = `cookie ${options.secret ?? crypto.randomUUID()}`;
  const notes = new Map<string, Note[]>(USERS.map((user) => [user, []]));
  const hono = new Hono<LoginEnv>();
  let lastId = 0;

  hono.onError(errorHandler(reporter(options)));
  hono.use(async (c, next) => {
    const session = sessions.get(await getSignedCookie(c, cookieKey, COOKIE) || "");
    if (session) c.set("session", session);
    await next();
  });
  hono.use(...frontOf(turbo, { as: namesOf }));

  hono.get("/login", (c) => c.get("session") ? c.redirect("/", 303) : askToLogIn(c));

  hono.post("/login", async (c) => {
    const name = (await field(c, "name")).trim().toLowerCase().slice(0, MAX_NAME);
    const error = problemWith(name, await field(c, "password"));
    if (error !== undefined) return askToLogIn(c, { name, error });
    const before = c.get("session");
    if (before) sessions.end(before.id);
    const session = sessions.start(name);
    await setSignedCookie(c, COOKIE, session.id, cookieKey, cookieOptions(c));
    showSessions(name);
    return c.redirect("/", 303);
  });

  hono.post("/logout", (c) => {
    const session = c.get("session");
    if (session) sessions.end(session.id);
    deleteCookie(c, COOKIE, cookieOptions(c));
    return c.redirect("/login?out", 303);
  });

  /** Stands in front of what is for members alone. */
  const members = createMiddleware<LoginEnv>(async (c, next) => {
    if (c.get("session")) return await next();
    const hasHad = await getSignedCookie(c, cookieKey, COOKIE);
    return c.redirect(hasHad ? "/login?ended" : "/login", 303);
  });

  hono.get("/", members, (c) => home(c));

  hono.post("/sessions/end", members, async (c) => {
    const key = await field(c, "session");
    const other = sessions.of(memberOf(c).user).find((session) => session.key === key);
    if (other) sessions.end(other.id);
    return c.redirect("/", 303);
  });

  hono.post("/notes", members, async (c) => {
    const { user } = memberOf(c);
    const draft = { to: await field(c, "to"), text: await field(c, "text") };
    const error = problemWithNote(draft);
    const next = error === undefined
      ? { to: draft.to, text: "", done: `Sent to ${draft.to}` }
      : { ...draft, error };
    if (error === undefined) send({ id: ++lastId, from: user, text: draft.text.trim() }, draft.to);
    if (!acceptsStream(c.req.raw)) return error ? home(c, next) : c.redirect("/", 303);
    const form = replace(IDS.form, noteForm(USERS.filter((other) => other !== user), next));
    return streamResponse(c, form, { status: error ? 422 : 200 });
  });

  function send(note: Note, to: string): void {
    const all = notes.get(to)!;
    all.push(note);
    turbo.push(append(IDS.notes, noteItem(note)), { to });
    for (const { id } of all.splice(0, all.length - MAX_NOTES)) {
      turbo.push(remove(noteId(id)), { to });
    }
  }

  /** Each session is another one's "another browser", so each is pushed its own list. */
  function showSessions(user: string): void {
    const all = sessions.of(user);
    for (const session of all) {
      turbo.push(replace(IDS.sessions, sessionList(session, all)), { to: session.key });
    }
  }

  function here(): string[] {
    return USERS.filter((user) => turbo.present(user).count > 0);
  }

  function problemWith(name: string, password: string): string | undefined {
    if (guesses.areTooMany(name)) return "Too many wrong passwords. Wait a minute.";
    if (!isPassword(name, password)) {
      guesses.add(name);
      return "Name or password is wrong.";
    }
    guesses.forget(name);
  }

  function askToLogIn(c: Context, draft: LoginDraft = { name: "" }): Response | Promise<Response> {
    const [why = ""] = Object.keys(c.req.query());
    const notice = draft.error ? undefined : NOTICES[why];
    return c.html(loginPage(turbo.head(c), { ...draft, notice }), draft.error ? 422 : 200);
  }

  function home(c: Context<LoginEnv>, draft?: NoteDraft): Response | Promise<Response> {
    const session = memberOf(c);
    const { user } = session;
    const head: Markup = turbo.head(c, { topics: [MEMBERS.topic] });
    const page = homePage(head, {
      session,
      sessions: sessions.of(user),
      here: here(),
      users: USERS,
      notes: notes.get(user) ?? [],
      draft,
    });
    return c.html(page, draft?.error ? 422 : 200);
  }

  return { hono, turbo };
}

/** Who a connection is: its user, in whatever browser, and this session alone. */
function namesOf(c: Context<LoginEnv>): string[] | undefined {
  const session = c.get("session");
  return session && [session.user, session.key];
}

function memberOf(c: Context<LoginEnv>): Session {
  const session = c.get("session");
  if (!session) throw new Error("A route for members was reached without a session");
  return session;
}

/** Takes as long for a name that nobody has. */
function isPassword(name: string, password: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(PASSWORDS.get(name) ?? ""), hash(password)) && PASSWORDS.has(name);
}

function problemWithNote({ to, text }: NoteDraft): string | undefined {
  if (!PASSWORDS.has(to)) return "Nobody has that name";
  if (text.trim() === "") return "Write something";
  if (text.trim().length > MAX_TEXT) return `That is longer than ${MAX_TEXT} characters`;
}

if (import.meta.main) {
  await run("login", "Members with a session, and notes for one of them.", createApp);
}
