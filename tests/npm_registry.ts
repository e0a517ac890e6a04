/**
 * A local registry of npm with one package, which is not published yet. A folder uses it only for the scope
 * of that package; all other packages come from their usual registry.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { serve, type TestServer } from "./kit.ts";
import { outputOf } from "./processes.ts";

/** A registry. */
export interface TestNpmRegistry extends TestServer {
  /** The text of a folder's `.npmrc`, which npm, Deno and Bun read. */
  readonly npmrc: string;
}

/** Serves the package of an archive. */
export async function serveNpmRegistry(archive: string): Promise<TestNpmRegistry> {
  const bytes = await Deno.readFile(archive);
  const manifest = JSON.parse(await outputOf(["tar", "-xzOf", archive, "package/package.json"]));
  const { name, version }: { name: string; version: string } = manifest;
  const digest = (algorithm: string, encoding: "base64" | "hex") =>
    createHash(algorithm).update(bytes).digest(encoding);
  const server = serve((request) => {
    const { origin, pathname } = new URL(request.url);
    if (pathname === `/${basename(archive)}`) return new Response(bytes);
    if (decodeURIComponent(pathname) !== `/${name}`) return new Response(null, { status: 404 });
    const dist = {
      tarball: `${origin}/${basename(archive)}`,
      integrity: `sha512-${digest("sha512", "base64")}`,
      shasum: digest("sha1", "hex"),
    };
    const versions = { [version]: { ...manifest, dist } };
    return Response.json({ name, "dist-tags": { latest: version }, versions });
  });
  return { ...server, npmrc: `${name.split("/")[0]}:registry=${server.url}/\n` };
}
