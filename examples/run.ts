/**
 * Runs an example as a program: its command line, and how it ends.
 *
 * @module
 */
import type { Env } from "hono";
import config from "../deno.json" with { type: "json" };
import { serve, type Server } from "../server/serve.ts";
import { integer, settingsOrExit } from "../server/settings.ts";
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
 * Serves an example on the port that the command line names, until a signal stops it. It ends the
 * process: with code 2 where the command line is wrong, and with 1 where it cannot listen.
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
    server = serve(hono.fetch, { port, drain });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    console.error(`${name}: ${error.message}`);
    Deno.exit(1);
  }
  Deno.exit(await server.finished);
}
