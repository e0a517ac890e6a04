/**
 * A list of todos that all readers see and change. Without JavaScript it works by full pages.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { acceptsStream, html, type Markup, replace } from "@turbo-deno/turbo";
import { type Stream, streamResponse, Turbo, type TurboOptions } from "@turbo-deno/turbo";
import { errorHandler, type Example, field, frontOf } from "./layout.ts";
import { layout, reporter } from "./layout.ts";
import { run } from "./run.ts";

/** One todo. */
export interface Todo {
  /** Its number. */
  id: number;
  /** Its text. */
  text: string;
  /** Whether it is done. */
  done: boolean;
}

/** The content of the form. */
export interface Draft {
  /** The text that was typed. */
  text: string;
  /** The error message. */
  error?: string | undefined;
}

const LIST_ID = "todos";
const FORM_ID = "add";
const MAX_TODOS = 200;
const MAX_LENGTH = 200;

/** Creates the example, without a server. */
export function createApp(options: TurboOptions = {}): Example {
  const turbo = new Turbo(options);
  const hono = new Hono();
  let todos: Todo[] = [];
  let lastId = 0;

  hono.onError(errorHandler(reporter(options)));
  hono.use(...frontOf(turbo));
  hono.get("/", (c) => page(c));

  hono.post("/todos", async (c) => {
    const text = await field(c, "text");
    const error = problemWith(text.trim());
    if (error !== undefined) {
      const draft = { text, error };
      if (!acceptsStream(c.req.raw)) return page(c, draft);
      return streamResponse(c, replace(FORM_ID, addForm(draft)), { status: 422 });
    }
    todos.push({ id: ++lastId, text: text.trim(), done: false });
    return changed(c, replace(FORM_ID, addForm()));
  });

  // The form states the new value instead of a toggle, so that sending it twice does no harm.
  hono.post("/todos/:id", async (c) => {
    const done = await field(c, "done") === "yes";
    todos = todos.map((todo) => isAt(c, todo) ? { ...todo, done } : todo);
    return changed(c);
  });

  hono.post("/todos/:id/delete", (c) => {
    todos = todos.filter((todo) => !isAt(c, todo));
    return changed(c);
  });

  function page(c: Context, draft?: Draft): Response | Promise<Response> {
    return c.html(todosPage(turbo.head(c), todos, draft), draft ? 422 : 200);
  }

  // Pushes the whole list, so that all pages show the same order when two readers change it at once. The
  // answer includes the effect of the push, so its cursor is taken after the push.
  function changed(c: Context, ...more: Stream[]): Response {
    const list = replace(LIST_ID, todoList(todos), { morph: true });
    turbo.push(list);
    if (!acceptsStream(c.req.raw)) return c.redirect("/", 303);
    return streamResponse(c, [list, ...more], { cursor: turbo.cursor });
  }

  function problemWith(text: string): string | undefined {
    if (text === "") return "Say what is to be done";
    if (text.length > MAX_LENGTH) return `That is longer than ${MAX_LENGTH} characters`;
    if (todos.length >= MAX_TODOS) return `The list is full: ${MAX_TODOS} is the most`;
  }

  return { hono, turbo };
}

function isAt(c: Context, { id }: Todo): boolean {
  return c.req.param("id") === String(id);
}

/** The page. */
export function todosPage(
  head: Markup,
  todos: readonly Todo[],
  draft?: Draft,
): Markup {
  return layout({ head, title: "Todos" }, html`${addForm(draft)}${todoList(todos)}`);
}

/** The form that adds a todo. */
export function addForm({ text, error }: Draft = { text: "" }): Markup {
  return html`
    <form id="${FORM_ID}" class="fields" method="post" action="/todos">
      <label for="text">New todo</label>
      <input id="text" name="text" value="${text}" maxlength="${MAX_LENGTH}" autocomplete="off"
        aria-describedby="add-error" aria-invalid="${error === undefined ? "false" : "true"}">
      <p id="add-error" class="error" role="alert">${error ?? ""}</p>
      <button id="add-button">Add</button>
    </form>
  `;
}

/** The list. */
export function todoList(todos: readonly Todo[]): Markup {
  return html`
    <div id="${LIST_ID}">
      <ul class="todos" aria-label="Todos">${todos.map(todoItem)}</ul>
      <p class="note">${summary(todos)}</p>
    </div>
  `;
}

function todoItem({ id, text, done }: Todo): Markup {
  return html`
    <li id="todo-${id}" class="${done ? "done" : "open"}">
      <span>${text}</span>
      <form method="post" action="/todos/${id}">
        <button id="done-${id}" class="plain" name="done" value="${done ? "no" : "yes"}"
          aria-label="${done ? "Reopen" : "Done"}: ${text}">${done ? "Reopen" : "Done"}</button>
      </form>
      <form method="post" action="/todos/${id}/delete">
        <button id="delete-${id}" class="plain" aria-label="Delete: ${text}">Delete</button>
      </form>
    </li>
  `;
}

function summary(todos: readonly Todo[]): string {
  const open = todos.filter(({ done }) => !done).length;
  return todos.length === 0 ? "Nothing to do" : `${open} of ${todos.length} to do`;
}

if (import.meta.main) {
  await run("todos", "A list of todos that everyone sees and changes.", createApp);
}
