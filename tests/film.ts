/**
 * Makes the README's moving picture: a page is open, its server is killed and restarted, and the page
 * continues. It is a recording of the app in a real browser, in real time. A window, the typed commands and
 * the output of the server are drawn around it. Look at the result before you commit it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import mono from "npm:@expo-google-fonts/jetbrains-mono@0.4.1/400Regular/JetBrainsMono_400Regular.ttf" with {
  type: "bytes",
};
import gifenc from "npm:gifenc@1.0.3";
import { PNG } from "npm:pngjs@7.0.0";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { type Page, startBrowser } from "./browser.ts";
import { pause, within } from "./kit.ts";
import { startApp } from "./processes.ts";

/** The length of the film, in milliseconds. */
const LENGTH = 10_000;
/** Milliseconds between two pictures. */
const STEP = 100;
/** When the server is killed, and when it is restarted. */
const KILL_AT = 2_200;
const START_AT = 5_000;
/** When the page must be live again, so that there is time to see that it continues. */
const LIVE_BY = 7_300;
/** Most attempts, for a machine that is busy. */
const TAKES = 5;
/** Milliseconds in which a command is typed. */
const TYPING = 900;
/** Milliseconds for which the server runs before the recording, so that the plot has a curve. */
const WARM_UP = Number(Deno.args[0] ?? 30) * 1000;

const SIZE = { width: 720, height: 600 };
const PAGE = { width: SIZE.width, height: 454 };
const COLORS = 96;
const PROMPT = "$ ";
const OUT = new URL("../docs/restart.gif", import.meta.url);

/** The document that draws the window around the page. */
const STAGE = `<!DOCTYPE html>
<style>
@font-face { font-family: Mono; src: url(data:font/ttf;base64,${
  Buffer.from(mono).toString("base64")
}); }
* { box-sizing: border-box; margin: 0; }
body { width: ${SIZE.width}px; height: ${SIZE.height}px; background: #1c2229; font: 15px/1 system-ui; overflow: hidden; }
#bar { display: flex; align-items: center; gap: 7px; height: 34px; padding: 0 12px; background: #dde1e6; }
#bar i { width: 11px; height: 11px; border-radius: 50%; background: #aab2bb; }
#bar b { align-self: end; min-width: 190px; margin: 6px 0 0 8px; padding: 6px 12px 7px; border-radius: 8px 8px 0 0; background: #fcfcfb; color: #1d2530; font-size: 14px; font-weight: 500; }
#bar span { flex: 1; padding: 4px 12px; border-radius: 11px; background: #eef0f3; color: #1d2530; font-size: 14px; }
img { display: block; width: ${PAGE.width}px; height: ${PAGE.height}px; }
#caption { height: 36px; padding: 0 20px; font-weight: 600; line-height: 36px; color: #fff; background: #1a7f37; }
.off #caption { background: #b42318; }
pre { padding: 9px 20px; font: 15px/20px Mono; font-variant-ligatures: none; color: #e4e8ec; white-space: pre; }
</style>
<body class="live">
<div id="bar"><i></i><i></i><i></i><b></b><span></span></div>
<img>
<div id="caption"></div>
<pre></pre>`;

const env = { PORT: "8000", HOST: "localhost", INTERVAL: "1", NODE_NAME: "web1" };
const start = () => startApp([], { env }); // as `deno task start` does

await using stack = new AsyncDisposableStack();
let app = await start();
stack.defer(() => app[Symbol.asyncDispose]());
const browser = stack.use(await startBrowser());
const { page } = await browser.open(app.url, { viewport: PAGE, colorScheme: "light" });
await page.waitForSelector(OPEN_PAGE);
let take: Take | undefined;
for (let n = 0; n < TAKES && !take; n++) {
  await pause(WARM_UP);
  take = await record(page);
}
if (!take) throw new Error(`In none of ${TAKES} takes was the page live again by ${LIVE_BY} ms`);
const { page: stage } = await browser.open("", { viewport: SIZE });
const gif = encode(await compose(stage, take));
await Deno.writeFile(OUT, gif);
console.log(`${OUT.pathname}: ${gif.length} bytes`);

/** The changes to be drawn, with their times in milliseconds from the start. */
interface Take {
  /** The address bar. */
  readonly host: string;
  /** A picture and the title of the page at each change. */
  readonly page: { at: number; png: Buffer; title: string }[];
  /** The typed commands and the output of the server. */
  readonly terminal: { at: number; text: string; isTyped: boolean }[];
  /** The captions. */
  readonly captions: { at: number; text: string; state: "live" | "off" }[];
}

/** Records ten seconds; `undefined` where the page has reconnected too late. */
async function record(page: Page): Promise<Take | undefined> {
  const begin = performance.now();
  const now = () => performance.now() - begin;
  const waitTill = (at: number) => pause(Math.max(0, at - now()));
  const take: Take = { host: new URL(page.url()).host, page: [], terminal: [], captions: [] };
  const looking = (async () => {
    for (let at = now(); at < LENGTH; at = now()) {
      const png = await page.screenshot({ caret: "initial" });
      const title = await page.title();
      const last = take.page.at(-1);
      if (!last?.png.equals(png) || last.title !== title) take.page.push({ at, png, title });
      await waitTill(at + STEP);
    }
  })();

  take.captions.push({
    at: 0,
    text: "A page is open. The server pushes the load into it every second.",
    state: "live",
  });
  await waitTill(KILL_AT);
  take.terminal.push({ at: now(), text: `kill -9 ${app.child.pid}`, isTyped: true });
  app.child.kill("SIGKILL");
  await within(app.ended, "the app to end");
  await page.waitForSelector('html[data-turbo-stream="closed"]');
  take.captions.push({
    at: now(),
    text: "The server is killed. The page and its title say that it is offline.",
    state: "off",
  });

  await waitTill(START_AT);
  take.terminal.push({ at: now(), text: "deno task start", isTyped: true });
  app = await start();
  take.terminal.push({ at: now(), text: app.lines[0]!, isTyped: false });
  await page.waitForSelector(OPEN_PAGE);
  const liveAt = now();
  take.captions.push({
    at: liveAt,
    text: "The server is back, and the page goes on. Nobody reloaded it.",
    state: "live",
  });
  await looking;
  console.log(`Live again after ${Math.round(liveAt - START_AT)} ms`);
  return liveAt < LIVE_BY ? take : undefined;
}

/** Draws one picture for each span of time in which nothing changes, with its length. */
async function compose(stage: Page, take: Take): Promise<{ png: Buffer; delay: number }[]> {
  await stage.setContent(STAGE);
  await stage.locator("#bar span").evaluate((bar, host) => bar.textContent = host, take.host);
  await stage.evaluate(() => document.fonts.ready);
  const pictures: { png: Buffer; delay: number }[] = [];
  for (let at = 0; at < LENGTH; at += STEP) {
    const { png: shown, title } = (take.page.findLast((shot) => shot.at <= at) ?? take.page[0])!;
    const { text, state } = take.captions.findLast((caption) => caption.at <= at)!;
    await stage.evaluate(async ({ page, title, caption, state, terminal }) => {
      const image = document.querySelector("img")!;
      if (image.src !== page) {
        image.src = page;
        await image.decode();
      }
      document.querySelector("#bar b")!.textContent = title;
      document.querySelector("#caption")!.textContent = caption;
      document.body.className = state;
      document.querySelector("pre")!.textContent = terminal;
    }, {
      page: `data:image/png;base64,${shown.toString("base64")}`,
      title,
      caption: text,
      state,
      terminal: terminalAt(take, at),
    });
    const png = await stage.screenshot();
    if (pictures.at(-1)?.png.equals(png)) pictures.at(-1)!.delay += STEP;
    else pictures.push({ png, delay: STEP });
  }
  return pictures;
}

/** The lines of the terminal. A command is typed before it takes effect. */
function terminalAt({ terminal }: Take, at: number): string {
  let text = PROMPT;
  for (const line of terminal) {
    if (line.isTyped) {
      const typed = Math.floor(line.text.length * (at - line.at + TYPING) / TYPING);
      text += line.text.slice(0, Math.max(0, typed));
      if (at < line.at) return `${text}█`;
      text += "\n";
      if (line.text.startsWith("kill")) text += PROMPT;
    } else if (at >= line.at) {
      text += `${line.text}\n`;
    }
  }
  return text.endsWith("\n") ? text : `${text}█`;
}

/** Encodes the pictures with one palette. Pixels that have not changed are transparent. */
function encode(pictures: readonly { png: Buffer; delay: number }[]): Uint8Array {
  const frames = pictures.map(({ png }) => new Uint8Array(PNG.sync.read(png).data));
  const all = new Uint8Array(frames.reduce((sum, { length }) => sum + length, 0));
  frames.reduce((offset, frame) => (all.set(frame, offset), offset + frame.length), 0);
  const palette: number[][] = gifenc.quantize(all, COLORS);
  const transparentIndex = palette.length;
  const encoder = gifenc.GIFEncoder();
  let before: Uint8Array | undefined;
  for (const [index, frame] of frames.entries()) {
    const indices: Uint8Array = gifenc.applyPalette(frame, palette);
    const pixels = before
      ? indices.map((color, at) => color === before![at] ? transparentIndex : color)
      : indices;
    encoder.writeFrame(pixels, SIZE.width, SIZE.height, {
      palette: index === 0 ? [...palette, [0, 0, 0]] : undefined,
      delay: pictures[index]!.delay,
      repeat: 0,
      transparent: index > 0,
      transparentIndex,
      dispose: 1,
    });
    before = indices;
  }
  encoder.finish();
  return encoder.bytes();
}
