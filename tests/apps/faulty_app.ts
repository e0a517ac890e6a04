/**
 * The app in a process of its own, in which every callback can be made to throw.
 *
 * A page named `poison-WHAT` has a socket that throws there; `/fault?on=WHAT` arms one fault for the
 * next time. Nothing can make Deno's own socket throw from outside, so here, and here only, its
 * parts are replaced.
 *
 * Usage: faulty_app.ts [HOSTNAME [IDLE_TIMEOUT [ACCEPT_TIMEOUT]]]
 *
 * @module
 */
import { createApp } from "../../main.ts";
import { serve } from "../../server/serve.ts";
import { html, replace, type Stream, Turbo, type Upgrade } from "../../turbo/mod.ts";
import { unread } from "../reports.ts";

const [hostname = "127.0.0.1", idleTimeout = "30000", acceptTimeout = "30000"] = Deno.args;
const armed = new Set<string>();
const files: Deno.FsFile[] = [];

// Uses up all file descriptors, because Deno panics when it then formats an Error.
function fill(): void {
  try {
    for (;;) files.push(Deno.openSync("/dev/null"));
  } catch (error) {
    console.error(`full: ${(error as Error).message}`);
  }
}

function fault(on: string): void {
  if (armed.delete(on)) throw new Error(`injected on ${on}`);
}

const upgrade: Upgrade = (request, options) => {
  fault("upgrade");
  const upgraded = Deno.upgradeWebSocket(request, options);
  const { socket } = upgraded;
  const [, poison] = /page=poison-(\w+)/.exec(request.url) ?? [];
  if (poison === "send") {
    socket.send = () => {
      throw new Error("injected on send");
    };
  }
  if (poison === "buffered") {
    Object.defineProperty(socket, "bufferedAmount", {
      get() {
        throw new Error("injected on buffered");
      },
    });
  }
  if (poison === "error") {
    socket.addEventListener("open", () => {
      setTimeout(() => socket.dispatchEvent(new ErrorEvent("error")), 50);
    });
  }
  return upgraded;
};

const app = createApp({
  interval: 0.1,
  sampler: {
    report: (maxAge) => {
      fault(maxAge === undefined ? "tick" : "render");
      return Promise.resolve(unread());
    },
  },
  turbo: {
    upgrade,
    idleTimeout: Number(idleTimeout),
    onError(message, error) {
      console.error(message, String(error));
      fault("report");
    },
  },
});
// The app's own callback, called for each open, close and change of names.
const { canPush } = app.turbo;
app.turbo.canPush = (...args) => {
  fault("change");
  return canPush.apply(app.turbo, args);
};
app.hono.get("/fault", (c) => {
  armed.add(c.req.query("on")!);
  return c.text("armed");
});
app.hono.get("/fill", (c) => {
  setTimeout(fill, 100); // after this request is answered
  return c.text("soon");
});
app.hono.get("/push", (c) => {
  const content = () => {
    throw new Error("injected on content");
  };
  app.turbo.push(replace("load", html`<p id="load">${{ toString: content }}</p>`));
  return c.text("not reached");
});
app.hono.get("/push-no-stream", (c) => {
  app.turbo.push("text" as Stream);
  return c.text("not reached");
});

// Otherwise the default of Turbo itself is used.
const bare = new Turbo({
  path: "/bare",
  async onChange() {
    await Promise.resolve();
    fault("rejection");
  },
});
const handler = (request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>) =>
  new URL(request.url).pathname === "/bare" ? bare.connect(request) : app.hono.fetch(request, info);
const server = serve(handler, { port: 0, hostname, acceptTimeout: Number(acceptTimeout) });
Deno.exit(await server.finished);
