/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * The pages of `login.ts`, in JSX.
 *
 * @module
 */
import { html, type Markup } from "@turbo-deno/turbo";
import { layout } from "./layout.ts";
import type { Session } from "./login_sessions.ts";

/** A note from one user to another. */
export interface Note {
  /** Its number. */
  id: number;
  /** Who wrote it. */
  from: string;
  /** What it says. */
  text: string;
}

/** What is in the form that logs in. */
export interface LoginDraft {
  /** The name that was typed. */
  name: string;
  /** What is wrong. */
  error?: string | undefined;
}

/** What is in the form that sends a note. */
export interface NoteDraft {
  /** Whom it is for. */
  to: string;
  /** What was typed. */
  text: string;
  /** What is wrong. */
  error?: string | undefined;
  /** What was done. */
  done?: string | undefined;
}

/** What a member's page shows. */
export interface Home {
  /** Whose it is, in this browser. */
  session: Session;
  /** All of the same user. */
  sessions: readonly Session[];
  /** Who is here. */
  here: readonly string[];
  /** All users. */
  users: readonly string[];
  /** What the user was sent. */
  notes: readonly Note[];
  /** What is in the form. */
  draft?: NoteDraft | undefined;
}

/** The id of what is replaced or added to. */
export const IDS = { here: "here", notes: "notes", form: "send", sessions: "sessions" } as const;

/** Characters of a name and of a note. */
export const MAX_NAME = 40;
/** Characters of a note. */
export const MAX_TEXT = 300;

/** The page to log in. */
export function loginPage(
  head: Markup,
  { name, error, notice }: LoginDraft & { notice?: string | undefined },
): Markup {
  return layout(
    { head, title: "Log in" },
    html`${(
      <>
        {notice && <p class="notice" role="status">{notice}</p>}
        <form class="fields" method="post" action="/login">
          <label for="name">Name</label>
          <input
            id="name"
            name="name"
            value={name}
            maxlength={MAX_NAME}
            autocomplete="username"
            autocapitalize="none"
            aria-describedby="login-error"
            aria-invalid={String(!!error)}
          />
          <label for="password">Password</label>
          <input
            id="password"
            name="password"
            type="password"
            autocomplete="current-password"
            aria-describedby="login-error"
            aria-invalid={String(!!error)}
          />
          <p id="login-error" class="error" role="alert">{error}</p>
          <button type="submit" id="login-button">Log in</button>
        </form>
        <p class="note">
          Try <b>ann</b> with the password <b>garden</b>, and <b>ben</b> with <b>attic</b>{" "}
          in another browser.
        </p>
      </>
    )}`,
  );
}

/** The page of a member. */
export function homePage(head: Markup, home: Home): Markup {
  const { session, sessions, here, users, notes, draft } = home;
  // What Turbo keeps for Back would be shown after the log-out, too.
  const personal = html`${head}<meta name="turbo-cache-control" content="no-cache">`;
  return layout(
    { head: personal, title: `Hello, ${session.user}` },
    html`${(
      <>
        {hereBox(here)}
        <h2>Notes for you</h2>
        {noteList(notes)}
        {noteForm(users.filter((user) => user !== session.user), draft)}
        {sessionList(session, sessions)}
        <form method="post" action="/logout">
          <button type="submit" id="logout">Log out</button>
        </form>
      </>
    )}`,
  );
}

/** Who is here. */
export function hereBox(here: readonly string[]): Markup {
  return html`${<p id={IDS.here} class="note">Here now: {here.join(", ") || "nobody"}</p>}`;
}

/** What the user was sent. */
export function noteList(notes: readonly Note[]): Markup {
  return html`${<ul id={IDS.notes} class="notes" aria-live="polite">{notes.map(noteItem)}</ul>}`;
}

/** One note. */
export function noteItem({ id, from, text }: Note): Markup {
  return html`${(
    <li id={noteId(id)} class="notice">
      <b>{from}</b>: {text}
    </li>
  )}`;
}

/** The id of a note's element. */
export function noteId(id: number): string {
  return `note-${id}`;
}

/** The form that sends a note. */
export function noteForm(
  others: readonly string[],
  { to, text, error, done }: NoteDraft = { to: "", text: "" },
): Markup {
  return html`${(
    <form id={IDS.form} class="fields" method="post" action="/notes">
      <label for="to">Send a note to</label>
      <select id="to" name="to">
        {others.map((user) => <option key={user} selected={user === to}>{user}</option>)}
      </select>
      <label for="text">Note</label>
      <input
        id="text"
        name="text"
        value={text}
        maxlength={MAX_TEXT}
        autocomplete="off"
        aria-describedby="send-error"
        aria-invalid={String(!!error)}
      />
      <p id="send-error" class="error" role="alert">{error}</p>
      <button type="submit" id="send-button">Send</button>
      <p class="good" role="status">{done}</p>
    </form>
  )}`;
}

/** Where the user is logged in, as one of these places shows it. */
export function sessionList(own: Session, sessions: readonly Session[]): Markup {
  return html`${(
    <section id={IDS.sessions}>
      <h2>Where you are logged in</h2>
      <ul class="todos">
        {sessions.map((session) => {
          const time = new Date(session.since).toISOString();
          const since = <time datetime={time}>{time.slice(11, 16)} UTC</time>;
          return session.key === own.key
            ? (
              <li>
                <span>Here, since {since}</span>
              </li>
            )
            : (
              <li>
                <span>In another browser, since {since}</span>
                <form method="post" action="/sessions/end">
                  <input type="hidden" name="session" value={session.key} />
                  <button type="submit" class="plain">Log out there</button>
                </form>
              </li>
            );
        })}
      </ul>
    </section>
  )}`;
}
