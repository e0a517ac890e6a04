/**
 * Bounds the time for which a handler waits for the body of a request. Deno has no time-out for that.
 *
 * @module
 */

/** A handler of requests, as `Deno.serve` takes one. */
export type Handler<Info> = (request: Request, info: Info) => Response | Promise<Response>;

/** The methods that a `Request` cannot be made with (WHATWG Fetch, section 2.2.1). */
const FORBIDDEN = /^(?:connect|trace|track)$/i;

/** The error with which a body fails that has not arrived in time. */
export class LateBodyError extends Error {
  /** The name of the class. */
  override readonly name = "LateBodyError";
}

/**
 * A handler that answers 408 where `handler` still waits for the body of its request that many milliseconds
 * after the head; reading that body fails then. Where `handler` answers without reading the body, this
 * changes nothing. A request that may have a body and whose URL cannot be parsed is answered 400, and one with
 * a method that no `Request` may have 501.
 *
 * A proxy closes the connection of such a request after the answer. Deno itself keeps it, and drops what
 * still comes, as long as the client sends it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { boundBodies } from "./slow_bodies.ts";
 *
 * const handler = boundBodies(async (request) => new Response(await request.text()), 10);
 * const stuck = new ReadableStream({ pull: () => new Promise(() => {}) });
 * const request = new Request("http://localhost/", { method: "POST", body: stuck });
 * assert.equal((await handler(request, {})).status, 408);
 * ```
 */
export function boundBodies<Info>(handler: Handler<Info>, deadline: number): Handler<Info> {
  return (request, info) => {
    const { url, method, headers } = request; // not its signal, about which Deno prints a warning
    if (method === "GET" || method === "HEAD") return handler(request, info);
    if (FORBIDDEN.test(method)) return new Response("Not implemented\n", { status: 501 });
    // Deno makes the URL with any text that a client sends as Host (RFC 9112, section 3.2).
    if (!URL.canParse(url)) {
      return new Response("The Host or the URL is malformed\n", { status: 400 });
    }
    const late = Promise.withResolvers<Response>();
    const body = bound(request, deadline, () => late.resolve(tooLate()));
    const answer = handler(new Request(url, { method, headers, body }), info);
    return Promise.race([answer, late.promise]);
  };
}

/** The body of a request, which fails where a read of it is not answered by the deadline. */
function bound(
  request: Request,
  milliseconds: number,
  onLate: () => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const deadline = performance.now() + milliseconds;
  // Opened when it is read first: Deno keeps an open body that nobody reads.
  let reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  return new ReadableStream({
    async pull(controller) {
      reader ??= request.body?.getReader();
      if (!reader) return controller.close();
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          onLate();
          reject(new LateBodyError("The body of the request is late"));
        }, Math.max(0, deadline - performance.now()));
      });
      try {
        const { done, value } = await Promise.race([reader.read(), late]);
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        reader.cancel(error).catch(() => {}); // where the client is gone, it has failed
        throw error;
      } finally {
        clearTimeout(timer);
      }
    },
    cancel: (reason) => reader?.cancel(reason),
  }, { highWaterMark: 0 });
}

function tooLate(): Response {
  return new Response("The body of the request is late\n", {
    status: 408,
    headers: { Connection: "close" },
  });
}
