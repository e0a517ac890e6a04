import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import assert from "node:assert/strict";
import { pagePolicy, type PolicyDirectives } from "./mod.ts";

async function policyOf(directives: PolicyDirectives): Promise<string[]> {
  const app = new Hono().use(secureHeaders(pagePolicy(directives))).get("/", (c) => c.text(""));
  return (await app.request("/")).headers.get("Content-Security-Policy")!.split("; ");
}

Deno.test("pagePolicy() takes the directives of Hono, and keeps its own where one is undefined", async () => {
  const policy = await policyOf({
    workerSrc: ["'self'"],
    styleSrcAttr: ["'unsafe-inline'"],
    reportTo: "csp",
    imgSrc: undefined as never,
  });
  for (
    const directive of [
      "worker-src 'self'",
      "style-src-attr 'unsafe-inline'",
      "report-to csp",
      "img-src 'self' data:",
      "script-src 'self'",
    ]
  ) assert(policy.includes(directive), directive);
});

Deno.test("pagePolicy() names a directive that is misspelt, or no list", () => {
  assert.throws(() => pagePolicy({ imgsrc: ["*"] } as never), {
    name: "TypeError",
    message: /^pagePolicy\(\) has no option "imgsrc": there are defaultSrc, scriptSrc, /,
  });
  assert.throws(() => pagePolicy({ imgSrc: "*" } as never), {
    message: 'Cannot take "*" as "imgSrc" of pagePolicy(): a list of sources is needed',
  });
});
