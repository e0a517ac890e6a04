/**
 * WebKitGTK's own small browser on a virtual screen, for tests. A page needs no more than seven
 * commands of WebDriver (https://www.w3.org/TR/webdriver2/), so no library stands between.
 *
 * @module
 */
import { type AnyBrowser, anyPage, makeHome, type PageDriver } from "./any_browser.ts";
import { assertNotQuick, freePort, until, within } from "./kit.ts";
import { succeeds } from "./processes.ts";

/** The key under which an answer names an element (WebDriver, section 12.2). */
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

/** Whether the browser, its driver and the virtual screen are installed. */
export async function hasWebKit(): Promise<boolean> {
  return await succeeds("WebKitWebDriver", "--help") && await succeeds("Xvfb", "-help");
}

/** Starts a virtual screen. Each page is a browser of its own, because a driver drives only one. */
export async function startWebKit(): Promise<AnyBrowser> {
  assertNotQuick("WITH_BROWSER");
  await using made = new AsyncDisposableStack();
  const home = made.use(makeHome());
  const display = await startScreen(made, home.env);
  const env = {
    ...home.env,
    DISPLAY: `:${display}`,
    GSETTINGS_BACKEND: "memory",
    DBUS_SESSION_BUS_ADDRESS: "disabled:", // without an address, a bus would be started and stay
  };
  const all = made.move();
  return {
    async open() {
      await using made = new AsyncDisposableStack();
      const send = await openSession(made, await startDriver(made, env));
      const all = made.move();
      return anyPage({ ...pageDriver(send), close: () => all.disposeAsync() });
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Sends one command of a session; resolves to the value that answers it. */
type Send = (method: string, path: string, parameters?: object) => Promise<unknown>;

function pageDriver(send: Send): Omit<PageDriver, "close"> {
  return {
    goto: (url) => send("POST", "/url", { url }),
    back: () => send("POST", "/back", {}),
    async click(selector) {
      const using = "css selector";
      const clicked = async () => {
        const element = await send("POST", "/element", { using, value: selector });
        const id = (element as Record<string, string>)[ELEMENT];
        await send("POST", `/element/${id}/click`, {});
      };
      const isGone = (error: Error) => {
        if (!/stale element|no such element/.test(error.message)) throw error;
        return false;
      };
      await until(() => clicked().then(() => true, isGone), `${selector} is clicked`);
    },
    async type(text) {
      const keys = [...text].flatMap((value) => [
        { type: "keyDown", value },
        { type: "keyUp", value },
      ]);
      await send("POST", "/actions", { actions: [{ type: "key", id: "keys", actions: keys }] });
    },
    evaluate: (expression) =>
      send("POST", "/execute/sync", { script: `return ${expression}`, args: [] }),
  };
}

/** Servers in tests sign their own certificates. */
const TRUSTING = { alwaysMatch: { acceptInsecureCerts: true } };

/** Makes a driver start its browser, which ends with the session. */
async function openSession(made: AsyncDisposableStack, driver: string): Promise<Send> {
  const opening = send("POST", `${driver}/session`, { capabilities: TRUSTING });
  const { sessionId } = await within(opening, "WebKit to start") as { sessionId: string };
  const session = `${driver}/session/${sessionId}`;
  made.defer(async () => {
    await within(send("DELETE", session), "WebKit to end");
  });
  return (method, path, parameters) => send(method, session + path, parameters);
}

/** Starts a driver, and resolves to its URL. */
async function startDriver(
  made: AsyncDisposableStack,
  env: Record<string, string>,
): Promise<string> {
  for (let attempt = 1; attempt <= 5; attempt++) {
    const port = freePort(); // another program may take it before the driver does
    const url = `http://127.0.0.1:${port}`;
    const child = start(made, "WebKitWebDriver", { args: [`--port=${port}`], env });
    let hasEnded = false;
    child.status.then(() => hasEnded = true);
    const isReady = () => send("GET", `${url}/status`).then(() => true, () => false);
    await until(async () => hasEnded || await isReady(), "WebKitWebDriver is ready");
    if (!hasEnded) return url;
  }
  throw new Error("WebKitWebDriver ended at once, five times");
}

async function send(method: string, url: string, parameters?: object): Promise<unknown> {
  const body = parameters === undefined ? null : JSON.stringify(parameters);
  const response = await fetch(url, { method, body });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`${url}: ${value.error}: ${value.message}`);
  return value;
}

/** Starts an X server without hardware, and resolves to the display number that it chose. */
async function startScreen(
  made: AsyncDisposableStack,
  env: Record<string, string>,
): Promise<string> {
  const args = [
    ...["-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
    "-noreset", // the server would start again when a browser leaves it, and cut off the next one
  ];
  const { stdout } = start(made, "Xvfb", { args, env, stdout: "piped" });
  const reader = stdout.pipeThrough(new TextDecoderStream()).getReader();
  let display = "";
  while (!display.endsWith("\n")) {
    const { value, done } = await within(reader.read(), "the number of the display");
    if (done) throw new Error(`Xvfb ended after it wrote ${JSON.stringify(display)}`);
    display += value;
  }
  await reader.cancel();
  return display.trim();
}

/** Starts a program that ends with the others. */
function start(
  made: AsyncDisposableStack,
  command: string,
  options: Deno.CommandOptions,
): Deno.ChildProcess {
  const settings = { clearEnv: true, stdout: "null", stderr: "null", ...options } as const;
  const child = new Deno.Command(command, settings).spawn();
  made.defer(async () => {
    try {
      child.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended already
    }
    await within(child.status, `${command} to end`);
  });
  return child;
}
