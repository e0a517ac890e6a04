/**
 * Runs an example as a program, with a command line.
 *
 * @module
 */
import type { Env } from "hono";
import config from "../deno.json" with { type: "json" };
import { serve, type Server } from "../server/serve.ts";
import { integer, settingsOrExit, sourcesOf } from "../server/settings.ts";
import type { Example } from "./layout.ts";

const OPTIONS = {
  port: {
    flag: "--port",
    placeholder: "N",
    parse: integer(0, 65_535),
    default: 8000,
    help: "Port to listen on; 0 takes a free one",
  },
} as const;

/**
 * Serves an example on the port of the command line until a signal stops it, and exits. The exit code is 2
 * when the command line is wrong, and 1 when it cannot listen.
 */
export async function run<E extends Env>(
  name: string,
  summary: string,
  createApp: () => Example<E>,
): Promise<void> {
  const { version } = config;
  const { port } = settingsOrExit(OPTIONS, { name, version, summary });
  const { hono, turbo } = createApp();
  let server: Server;
  try {
    const drain = (deadline: number) => turbo.close({ deadline, window: 0 });
    server = serve(hono.fetch, { port, sources: sourcesOf(OPTIONS), drain });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    console.error(`${name}: ${error.message}`);
    Deno.exit(1);
  }
  Deno.exit(await server.finished);
}
