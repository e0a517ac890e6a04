/// <reference lib="dom" />
// The undocumented behaviour of Turbo that client.js relies on. Each test is about one part, so that its
// failure shows what another version of Turbo has changed.
import assert from "node:assert/strict";
import { html } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startPageApp } from "./apps/page_app.ts";
import { type Page, startBrowser } from "./browser.ts";
import { until, WITH_BROWSER } from "./kit.ts";

function internal(name: string, run: (page: Page, url: string) => Promise<void>): void {
  Deno.test(`Turbo: ${name}`, WITH_BROWSER, async () => {
    await using app = startPageApp();
    app.body = () =>
      html`
        <form method="post" action="/save"><button>Save</button></form><a id="nothing"
          href="/nothing">204</a>
      `;
    app.routes["GET /nothing"] = () => new Response(null, { status: 204 });
    app.routes["POST /save"] = () => app.streams([]);
    await using browser = await startBrowser();
    const { page } = await browser.open(app.url);
    await page.waitForSelector(OPEN_PAGE);
    await run(page, app.url);
  });
}

internal(
  "visit() renders a given response by a morph, and keeps the scroll position",
  async (page) => {
    await page.evaluate(() => {
      const { Turbo } = globalThis as unknown as {
        Turbo: { visit(url: string, options: object): void };
      };
      Object.assign(globalThis, { body: document.body });
      const responseHTML = document.documentElement.outerHTML.replace("<h1>/", "<h1>given");
      Turbo.visit(location.href, {
        action: "replace",
        shouldCacheSnapshot: false,
        response: { statusCode: 200, responseHTML, redirected: false },
        refresh: { method: "morph", scroll: "preserve" },
      });
    });
    await page.waitForSelector('h1:text-is("given")');
    assert.equal(await page.evaluate("document.body === body"), true, "the body was replaced");
  },
);

internal(
  "renderStreamMessage() connects the elements of a text at once, in order",
  async (page) => {
    const seen = await page.evaluate(() => {
      const seen: (string | null)[] = [];
      document.addEventListener(
        "turbo:before-stream-render",
        ({ target }) => seen.push((target as Element).getAttribute("target")),
      );
      const { Turbo } = globalThis as unknown as {
        Turbo: { renderStreamMessage(html: string): void };
      };
      Turbo.renderStreamMessage(
        ["a", "b"].map((id) => `<turbo-stream action="remove" target="${id}"></turbo-stream>`).join(
          "",
        ),
      );
      return seen;
    });
    assert.deepEqual(seen, ["a", "b"]);
  },
);

internal("renderStreamMessage() reads document.activeElement once, first of all", async (page) => {
  const reads = await page.evaluate(() => {
    const reads: string[] = [];
    document.addEventListener("turbo:before-stream-render", () => reads.push("connected"));
    const property = Object.getOwnPropertyDescriptor(Document.prototype, "activeElement")!;
    Object.defineProperty(document, "activeElement", {
      configurable: true,
      get: () => (reads.push("read"), property.get!.call(document)),
    });
    const { Turbo } = globalThis as unknown as {
      Turbo: { renderStreamMessage(html: string): void };
    };
    Turbo.renderStreamMessage('<turbo-stream action="remove" target="a"></turbo-stream>');
    return reads;
  });
  assert.deepEqual(reads, ["read", "connected"]);
});

internal(
  "detail.render of a stream is called with a later paint, with the element",
  async (page) => {
    const order = await page.evaluate(async () => {
      const order: unknown[] = [];
      const rendered = new Promise<void>((resolve) => {
        document.addEventListener("turbo:before-stream-render", (event) => {
          (event as CustomEvent).detail.render = (element: Element) => {
            order.push(element === event.target);
            resolve();
          };
        });
      });
      const { Turbo } = globalThis as unknown as {
        Turbo: { renderStreamMessage(html: string): void };
      };
      Turbo.renderStreamMessage('<turbo-stream action="remove" target="n"></turbo-stream>');
      order.push("called");
      await rendered;
      return order;
    });
    assert.deepEqual(order, ["called", true]);
  },
);

internal("a stream changes its targetElements", async (page) => {
  await page.evaluate(() => {
    document.addEventListener("turbo:before-stream-render", ({ target }) => {
      Object.defineProperty(target, "targetElements", { value: [document.querySelector("h1")] });
    });
    const { Turbo } = globalThis as unknown as {
      Turbo: { renderStreamMessage(html: string): void };
    };
    Turbo.renderStreamMessage(
      '<turbo-stream action="update" target="n"><template>moved</template></turbo-stream>',
    );
  });
  await page.waitForSelector('h1:text-is("moved")');
});

internal("responseHTML of a form's answer is read within before-fetch-response", async (page) => {
  const reads = await page.evaluate(() => {
    const reads: string[] = [];
    document.addEventListener("turbo:before-fetch-response", (event) => {
      const { fetchResponse } = (event as CustomEvent).detail;
      let isOver = false;
      queueMicrotask(() => isOver = true);
      Object.defineProperty(fetchResponse, "responseHTML", {
        configurable: true,
        get: () => (reads.push(isOver ? "later" : "within"), Promise.resolve(undefined)),
      });
    });
    return new Promise<string[]>((resolve) => {
      document.addEventListener("turbo:submit-end", () => resolve(reads));
      document.querySelector("button")!.click();
    });
  });
  assert.deepEqual(reads, ["within"]); // client.js has read it already
});

internal("currentVisit tells its state, its times and whether it renders", async (page) => {
  const visit = () =>
    page.evaluate(() => {
      const { Turbo } = globalThis as unknown as {
        Turbo: {
          navigator: {
            currentVisit?: {
              state: string;
              willRender: boolean;
              getTimingMetrics(): Record<string, number>;
            };
          };
        };
      };
      const { currentVisit } = Turbo.navigator;
      return currentVisit && {
        state: currentVisit.state,
        willRender: currentVisit.willRender,
        times: Object.keys(currentVisit.getTimingMetrics()),
      };
    });
  assert.equal(await visit(), undefined);
  await page.click("#nothing"); // a visit that Turbo never finishes
  await until(async () => (await visit())?.times.includes("requestEnd") ?? false, "it has ended");
  assert.deepEqual(await visit(), {
    state: "started",
    willRender: true,
    times: ["visitStart", "requestStart", "requestEnd"],
  });
});

internal("recentRequests has the id of a request of this page", async (page) => {
  const known = await page.evaluate(async () => {
    const { Turbo } = globalThis as unknown as {
      Turbo: { fetch: typeof fetch; session: { recentRequests: Set<string> } };
    };
    const before = Turbo.session.recentRequests.size;
    await Turbo.fetch("/nothing");
    return Turbo.session.recentRequests.size - before;
  });
  assert.equal(known, 1);
});

internal("clone() of a page's snapshot is what its cache keeps and shows again", async (page) => {
  await page.evaluate(() => {
    const { Turbo } = globalThis as unknown as {
      Turbo: { PageSnapshot: { prototype: { clone(): { element: Element } } } };
    };
    const { prototype } = Turbo.PageSnapshot;
    const { clone } = prototype;
    prototype.clone = function () {
      const copy = clone.call(this);
      (copy.element as HTMLElement).dataset["copied"] = "yes";
      return copy;
    };
  });
  await page.click("#other");
  await page.waitForSelector('h1:text-is("/other")');
  await page.goBack();
  await page.waitForSelector("body[data-copied]");
});

internal(
  "a cached head is made of detailsByOuterHTML of the snapshot's headSnapshot",
  async (page) => {
    await page.evaluate(() => {
      const { Turbo } = globalThis as unknown as {
        Turbo: {
          PageSnapshot: {
            prototype: {
              clone(): { headSnapshot: { detailsByOuterHTML: Record<string, unknown> } };
            };
          };
        };
      };
      const { prototype } = Turbo.PageSnapshot;
      const { clone } = prototype;
      prototype.clone = function () {
        const copy = clone.call(this);
        delete copy.headSnapshot.detailsByOuterHTML['<meta name="gone">'];
        return copy;
      };
      document.head.insertAdjacentHTML("beforeend", '<meta name="gone"><meta name="kept">');
    });
    await page.click("#other");
    await page.waitForSelector('h1:text-is("/other")');
    assert.equal(await page.locator("meta[name=gone], meta[name=kept]").count(), 0);
    await page.goBack();
    await page.waitForSelector('h1:text-is("/")');
    assert.equal(await page.locator("meta[name=gone]").count(), 0);
    assert.equal(await page.locator("meta[name=kept]").count(), 1);
  },
);

internal(
  "a script that DOMParser created does not run in a head",
  async (page) => {
    const ran = await page.evaluate(async () => {
      const text =
        `<script src="/assets/none.js" onerror="ran = 1"></script><script>ran = 1</script>`;
      const parsed = new DOMParser().parseFromString(text, "text/html");
      for (const script of parsed.head.children) {
        document.head.append(document.importNode(script, true));
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
      return "ran" in globalThis;
    });
    assert.equal(ran, false);
  },
);
