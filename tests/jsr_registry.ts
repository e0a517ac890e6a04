/**
 * A local registry of JSR with one package, which is not published yet. It receives what `deno publish`
 * sends, and serves that. Unlike the real registry, it does not check the package.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { directory, serve, type TestServer } from "./kit.ts";
import { outputOf } from "./processes.ts";

/** A registry. */
export interface TestJsrRegistry extends TestServer {
  /** The environment variables that make Deno use it. */
  readonly env: { readonly JSR_URL: string };
  /** The published files, by their paths. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** Publishes the package of a folder, and serves it. */
export async function serveJsrRegistry(root: string): Promise<TestJsrRegistry> {
  const { name, version, exports } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const manifest = () =>
    Object.fromEntries([...files].map(([path, bytes]) => {
      const checksum = `sha256-${createHash("sha256").update(bytes).digest("hex")}`;
      return [`/${path}`, { size: bytes.length, checksum }];
    }));

  const server = serve(async (request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "POST") {
      await unpack(await request.bytes(), files);
      return Response.json({ id: "1", status: "success" });
    }
    if (pathname.endsWith(`/versions/${version}`)) {
      return Response.json({ code: "packageVersionNotFound", message: "" }, { status: 404 });
    }
    if (pathname.startsWith("/api/")) return Response.json({});
    const path = pathname.slice(`/${name}/`.length);
    if (path === "meta.json") return Response.json({ versions: { [version]: {} } });
    if (path === `${version}_meta.json`) return Response.json({ manifest: manifest(), exports });
    const file = files.get(path.slice(`${version}/`.length));
    return new Response(file ?? null, { status: file ? 200 : 404 });
  });

  const env = { JSR_URL: `${server.url}/` };
  // Any token will do here.
  const command = ["publish", "--allow-dirty", "--no-check", "--no-provenance", "--token", "none"];
  await outputOf([Deno.execPath(), ...command], { cwd: root, env });
  return { ...server, env, files };
}

async function unpack(archive: Uint8Array, files: Map<string, Uint8Array>): Promise<void> {
  using folder = directory();
  await Deno.writeFile(`${folder.path}/archive`, archive);
  await outputOf(["tar", "-xzf", "archive"], { cwd: folder.path });
  const paths = await outputOf(["tar", "-tzf", "archive"], { cwd: folder.path });
  for (const path of paths.split("\n")) {
    files.set(path, await Deno.readFile(`${folder.path}/${path}`));
  }
}
