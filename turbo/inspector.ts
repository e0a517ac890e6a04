/**
 * The inspector as a sub-app of Hono. The rest of it is loaded only where an app has mounted it.
 *
 * @module
 */
import { Hono } from "hono";
import { checkOptions, type Rule } from "./checks.ts";
import type { Observed } from "./inspector_snapshot.ts";
import type { CloseOptions } from "./options.ts";
import { SECRET_RULE } from "./token.ts";

/** Options of {@linkcode Turbo.inspector}. */
export interface InspectorOptions {
  /**
   * Opens the inspector to whoever has this text of at least 16 characters, from any address: the browser
   * asks for a name, which may be any, and for the token as the password. Send it over TLS only. Default:
   * the inspector is for a browser on the same machine, and for nobody behind a proxy.
   */
  token?: string | undefined;
}

/** The inspector of a `Turbo`. */
export interface Inspector {
  /** The sub-app. */
  readonly app: Hono;
  /** Closes its pages. */
  close(options: CloseOptions): Promise<void>;
}

const RULES = { token: SECRET_RULE } satisfies Record<keyof InspectorOptions, Rule>;

/** Creates the inspector. @throws {TypeError | RangeError} when an option is wrong or unknown */
export function inspectorOf(observed: Observed, options: InspectorOptions): Inspector {
  const { token } = checkOptions("inspector()", options, RULES);
  const loading = import("./inspector_app.ts").then(({ InspectorApp }) =>
    new InspectorApp(observed, token)
  );
  loading.catch(() => {}); // each request reports it
  const app = new Hono();
  app.use("*", async (c) => (await loading).answer(c));
  return {
    app,
    async close(options) {
      await (await loading.catch(() => undefined))?.close(options);
    },
  };
}
