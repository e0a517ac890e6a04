// What OpenTelemetry is told, at a collector.

import assert from "node:assert/strict";
import { connect, PROTOCOL, sinceOf, WITH_PROCESS } from "./kit.ts";
import { collect, type Span } from "./otlp.ts";
import { startServer } from "./processes.ts";

const attributesOf = (span: Span) => new Map(span.attributes);

Deno.test({
  name: "The spans, metrics and logs of a page with topics hold no token, cookie or credential",
  ...WITH_PROCESS,
  async fn() {
    await using collector = collect();
    await using app = await startServer("apps/traced_app.ts", [], {
      env: collector.env,
      flags: ["--no-prompt", "--allow-net=127.0.0.1"],
    });
    const headers = { Cookie: "session=a-secret-cookie", Authorization: "Bearer a-secret-bearer" };
    const page = await (await fetch(app.url, { headers })).text();
    const token = /data-token="([^"]+)"/.exec(page)![1]!;
    const [, since] = /content="([^"]+)" data-stream/.exec(page)!;

    const stream = async (path: string) => {
      const accept = { Accept: "text/event-stream", ...headers };
      const response = await fetch(app.url + path, { headers: accept });
      assert.equal(response.status, 200, await (response.ok ? "" : response.text()));
      await response.body!.cancel();
    };
    await stream(`/turbo-stream?page=p1&since=${since}&token=${token}`);
    await stream(`/turbo-stream?page=p2&since=${since}&%74oken=${token}`);
    {
      await using client = await connect(app.url, {
        path: "/turbo-stream?page=p3",
        protocol: PROTOCOL,
        headers,
      });
      client.socket.send(sinceOf({ cursor: since!, token, page: "p3" }));
      await client.next();
    }

    for (
      const [id, status, query] of [
        ["p1", "200", `page=p1&since=${since}&token=REDACTED`],
        ["p2", "200", `page=p2&since=${since}&%74oken=REDACTED`],
        ["p3", "101", "page=p3"],
      ] as const
    ) {
      const span = attributesOf(
        await collector.span((span) => String(attributesOf(span).get("url.query")).includes(id)),
      );
      assert.equal(span.get("url.query"), query);
      assert.equal(span.get("url.full"), `${app.url}/turbo-stream?${query}`);
      assert.equal(span.get("http.response.status_code"), status);
    }
    await collector.log(({ body }) => body.startsWith("Listening on"));
    await collector.metric("http.server.request.duration");
    for (const secret of [token, token.slice(0, 24), "a-secret-cookie", "a-secret-bearer"]) {
      assert(!collector.text.includes(secret), `${secret} in ${collector.text}`);
    }
  },
});
