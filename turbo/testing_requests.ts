/**
 * Requests of a reader without a browser to an app in the same process. They carry cookies and follow
 * redirects.
 *
 * @module
 */

/** An app of Hono, or any object that `deno serve` accepts as the default export of a module. */
export interface TestApp {
  /** Answers a request. */
  fetch(request: Request): Response | Promise<Response>;
}

/** A request. */
export interface Asking {
  /** The HTTP method. Default `GET`. */
  method?: string;
  /** Header fields. */
  headers?: Readonly<Record<string, string>>;
  /** The body. */
  body?: BodyInit | undefined;
}

/** An answer, after all redirects. */
export interface Answer {
  /** The answer. */
  readonly response: Response;
  /** The URL that answered. */
  readonly url: URL;
  /** Whether there was a redirect. */
  readonly isRedirected: boolean;
}

/** The most redirects that a browser follows (WHATWG Fetch, section 4.4). */
const MAX_REDIRECTS = 20;

/** Sends requests to an app. */
export class Requests {
  /** The cookies, by name. Their domains and paths are ignored. */
  readonly cookies: Map<string, string>;
  readonly #app: TestApp;
  readonly #headers: Readonly<Record<string, string>>;

  /** Sends these cookies and header fields with each request. */
  constructor(
    app: TestApp,
    { cookies, headers }: {
      cookies: Map<string, string>;
      headers: Readonly<Record<string, string>>;
    },
  ) {
    this.#app = app;
    this.cookies = cookies;
    this.#headers = headers;
  }

  /**
   * Sends a request, and follows redirects as a browser does.
   *
   * @throws {Error} when a redirect leads to another origin, or there are too many
   */
  async ask(to: URL, { method = "GET", headers = {}, body }: Asking = {}): Promise<Answer> {
    let url = to;
    let asking: Asking = { method, headers, body };
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const response = await this.#askOnce(url, asking);
      const location = response.headers.get("Location");
      if (!/^30[12378]$/.test(String(response.status)) || location === null) {
        return { response, url, isRedirected: redirects > 0 };
      }
      await response.body?.cancel();
      const next = new URL(location, url);
      if (next.origin !== to.origin) {
        throw new Error(`Cannot follow a redirect of ${pathOf(url)} to another origin: ${next}`);
      }
      if (response.status < 307 && asking.method !== "GET" && asking.method !== "HEAD") {
        asking = { method: "GET", headers };
      }
      url = next;
    }
    throw new Error(`Cannot follow more than ${MAX_REDIRECTS} redirects of ${pathOf(to)}`);
  }

  async #askOnce(url: URL, { method = "GET", headers, body }: Asking): Promise<Response> {
    const all = new Headers({ ...this.#headers, ...headers });
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    if (cookie !== "") all.set("Cookie", cookie);
    if (method !== "GET" && method !== "HEAD") all.set("Origin", url.origin);
    const init = { method, headers: all, ...(body !== undefined && { body }) };
    const response = await this.#app.fetch(new Request(new URL(pathOf(url), url), init));
    for (const line of response.headers.getSetCookie()) this.#keep(line);
    return response;
  }

  #keep(line: string): void {
    const [, name = "", value = "", attributes = ""] =
      /^\s*([^=;]*?)\s*=\s*([^;]*?)\s*(?:;(.*))?$/s.exec(line) ?? [];
    if (isOver(attributes)) this.cookies.delete(name);
    else this.cookies.set(name, value);
  }
}

/** Path and query of a URL. */
export function pathOf({ pathname, search }: URL): string {
  return pathname + search;
}

/** Whether the attributes of a cookie say that it has expired. */
function isOver(attributes: string): boolean {
  const [, age] = /(?:^|;)\s*max-age\s*=\s*(-?\d+)\s*(?:;|$)/i.exec(attributes) ?? [];
  if (age !== undefined) return Number(age) <= 0;
  const [, date] = /(?:^|;)\s*expires\s*=\s*([^;]*)/i.exec(attributes) ?? [];
  return date !== undefined && Date.parse(date) <= Date.now();
}
