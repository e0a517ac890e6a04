import assert from "node:assert/strict";
import { redactSpans, type Telemetry, withoutToken } from "./telemetry.ts";

Deno.test("withoutToken() redacts the value of each token in a URL or a query, and nothing else", () => {
  for (
    const [given, expected] of [
      ["token=a.b-c_d", "token=REDACTED"],
      ["since=e.1&token=a.b&page=p", "since=e.1&token=REDACTED&page=p"],
      ["token=a&token=b", "token=REDACTED&token=REDACTED"],
      ["%74oken=a", "%74oken=REDACTED"],
      ["token=", "token=REDACTED"],
      ["token=a=b", "token=REDACTED"],
      ["http://h/turbo-stream?token=a.b#token=c", "http://h/turbo-stream?token=REDACTED#token=c"],
      ["http://h/s?a=1&token=%26b", "http://h/s?a=1&token=REDACTED"],
      ["http://h/s?q=?token=a", "http://h/s?q=?token=a"],
      ["", ""],
      ["csrf_token=a&tokens=b&Token=c", "csrf_token=a&tokens=b&Token=c"],
      ["http://h/token=a", "http://h/token=a"],
    ] as const
  ) {
    assert.equal(withoutToken(given), expected);
  }
});

function tracing(): { telemetry: Telemetry; Span: { prototype: object }; written: unknown[][] } {
  const written: unknown[][] = [];
  class Span {
    setAttribute(...args: unknown[]): this {
      written.push(args);
      return this;
    }
  }
  const telemetry = { trace: { getTracer: () => ({ startSpan: () => new Span() }) } };
  return { telemetry, Span, written };
}

Deno.test("redactSpans() changes the attributes of URLs, once, and leaves all others", () => {
  const { telemetry, written } = tracing();
  assert.equal(redactSpans(telemetry), true);
  const span = telemetry.trace!.getTracer("").startSpan("") as {
    setAttribute(name: string, value: unknown): unknown;
  };
  const { setAttribute } = span;
  assert.equal(redactSpans(telemetry), true);
  assert.equal(span.setAttribute, setAttribute);

  assert.equal(span.setAttribute("url.query", "token=a"), span);
  span.setAttribute("url.full", "http://h/?token=a");
  span.setAttribute("url.path", "token=a");
  span.setAttribute("url.query", 1);
  assert.deepEqual(written, [
    ["url.query", "token=REDACTED"],
    ["url.full", "http://h/?token=REDACTED"],
    ["url.path", "token=a"],
    ["url.query", 1],
  ]);
});

Deno.test("redactSpans() returns false where spans cannot be changed", () => {
  const { telemetry, Span } = tracing();
  Object.freeze(Span.prototype);
  assert.equal(redactSpans(telemetry), false);
  assert.equal(redactSpans(telemetry), false);
});

Deno.test("redactSpans() does nothing where nothing is traced", () => {
  assert.equal(redactSpans(undefined), true);
  assert.equal(redactSpans({}), true);
});
