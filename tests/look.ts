/**
 * Makes pictures of the load page in every state, for people to look at.
 *
 * @module
 */
import { startBrowser, type TestBrowser } from "./browser.ts";
import { chromiumPage } from "./browsers.ts";
import { hasFirefox, startFirefox } from "./firefox.ts";
import { type Look, LOOKS } from "./looks.ts";

const WIDTHS = [320, 360, 768, 1280];
const HEIGHT = 800;
const SCHEMES = ["light", "dark"] as const;

const [folder = await Deno.makeTempDir({ prefix: "look-" }), ...names] = Deno.args;
const looks = LOOKS.filter(({ name }) => names.length === 0 || names.includes(name));
await Deno.mkdir(folder, { recursive: true });
{
  await using browser = await startBrowser();
  for (const look of looks) await inChromium(look, browser);
}
if (await hasFirefox()) {
  for (const scheme of SCHEMES) await inFirefox(scheme);
}
console.log(`The pictures are in ${folder}`);

async function inChromium(look: Look, browser: TestBrowser): Promise<void> {
  await using shown = await look.start();
  const { page, context } = await browser.open("");
  await using any = chromiumPage({ page, context });
  await shown.open(any);
  const picture = (kind: string) =>
    page.screenshot({ path: `${folder}/${look.name}-${kind}.png`, fullPage: true });
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: HEIGHT });
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      await picture(`${width}-${colorScheme}`);
    }
  }
  await page.emulateMedia({ colorScheme: "dark", forcedColors: "active" });
  await picture("1280-forced");
  await page.emulateMedia({ colorScheme: "light", forcedColors: "none", media: "print" });
  await page.setViewportSize({ width: 718, height: 1000 }); // A4 without its margins
  await picture("print");
}

async function inFirefox(scheme: typeof SCHEMES[number]): Promise<void> {
  await using browser = await startFirefox({ isDark: scheme === "dark" });
  for (const look of looks) {
    await using shown = await look.start();
    await using page = await browser.open();
    await shown.open(page);
    for (const width of WIDTHS) {
      await page.resize(width, HEIGHT);
      const path = `${folder}/${look.name}-${width}-${scheme}-firefox.png`;
      await Deno.writeFile(path, await page.picture());
    }
  }
}
