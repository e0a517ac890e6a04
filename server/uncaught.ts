/**
 * The end of a process by an error that nobody has caught.
 *
 * @module
 */
import type { WrittenLog } from "./log.ts";
import { reasonOf } from "./serve.ts";

/**
 * From now on an error or a rejection that nobody catches is an event with its stack, and ends the process
 * with code 1. Without this Deno ends it too, after some lines of its own, and panics where no file
 * descriptor is left.
 */
export function endOnUncaught(log: Pick<WrittenLog, "error" | "flush">): void {
  const end = (event: ErrorEvent | PromiseRejectionEvent) => {
    event.preventDefault();
    const error: unknown = "reason" in event ? event.reason : event.error;
    const stack = error instanceof Error ? error.stack : undefined;
    log.error(`Uncaught error: ${reasonOf(error)}`, { error, stack });
    log.flush().then(() => Deno.exit(1));
  };
  addEventListener("error", end);
  addEventListener("unhandledrejection", end);
}
