import assert from "node:assert/strict";
import { freePort, serve, within } from "../tests/kit.ts";
import { checkHealth } from "./health_check.ts";

const HERE = { hostname: "127.0.0.1" };

Deno.test("checkHealth() asks /readyz below the base, by the address that it is given", async () => {
  const asked: string[] = [];
  await using server = serve(({ url, headers }) => {
    asked.push(`${headers.get("host")} ${new URL(url).pathname}`);
    return Response.json({ status: "ready" });
  });
  const { port } = server;
  for (const hostname of ["127.0.0.1", "localhost", "0.0.0.0"]) {
    await checkHealth({ port, hostname });
  }
  await checkHealth({ port, hostname: "127.0.0.1", base: "/load" });
  assert.deepEqual(asked, [
    `127.0.0.1:${port} /readyz`,
    `localhost:${port} /readyz`,
    `127.0.0.1:${port} /readyz`,
    `127.0.0.1:${port} /load/readyz`,
  ]);
});

Deno.test("checkHealth() asks the loopback address of IPv6 where the process listens on ::", async () => {
  const server = Deno.serve(
    { hostname: "::", port: 0, onListen() {} },
    () => Response.json({ status: "ready" }),
  );
  const { port } = server.addr;
  await checkHealth({ port, hostname: "::" });
  await checkHealth({ port, hostname: "::1" });
  await server.shutdown();
});

Deno.test("checkHealth() rejects with one line that has the URL and the reason", async () => {
  await using full = serve(() => new Response('{"status":"overloaded"}\nmore', { status: 503 }));
  await assert.rejects(checkHealth({ ...HERE, port: full.port }), {
    message: `${full.url}/readyz answers 503: {"status":"overloaded"}`,
  });
  const port = freePort();
  const refused = RegExp(`^Error: Cannot ask http://127\\.0\\.0\\.1:${port}/readyz: [^\n]*refused`);
  await assert.rejects(checkHealth({ ...HERE, port }), refused);
  await assert.rejects(checkHealth({ ...HERE, port: 0 }), /the port is 0, so it is not known$/);
});

Deno.test("checkHealth() rejects another program that answers 200, and quotes nothing that turns a terminal", async () => {
  await using other = serve(() => new Response("<html>\x1b[2J\u202eanother app"));
  await assert.rejects(checkHealth({ ...HERE, port: other.port }), {
    message: `${other.url}/readyz is answered by another program: <html>\ufffd[2J\ufffdanother app`,
  });
  await using long = serve(() => new Response("{".repeat(100_000)));
  await assert.rejects(checkHealth({ ...HERE, port: long.port }), /another program: \{{200}$/);
});

Deno.test("checkHealth() rejects what accepts and does not answer in time, or not in HTTP", async () => {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  const asking = checkHealth({ ...HERE, port, deadline: 20 });
  using _silent = await listener.accept();
  await assert.rejects(within(asking, "the deadline"), /readyz: no answer in 0\.02 s$/);
  const babbling = checkHealth({ ...HERE, port });
  using conn = await listener.accept();
  await conn.write(new TextEncoder().encode("220 mail.example ESMTP\r\n"));
  await conn.closeWrite();
  await assert.rejects(within(babbling, "the answer"), /readyz: the answer is not HTTP$/);
});
