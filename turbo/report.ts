/**
 * Reporting of errors that callbacks throw or reject with.
 *
 * @module
 */

/**
 * The message of an error, in one line. The error and its stack are never formatted, because Deno panics
 * when it does that and no file descriptor is left.
 */
export function reasonOf(error: unknown): string {
  try {
    return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
  } catch {
    return "something that cannot be shown"; // `message` or `toString` throws
  }
}

/** Wraps a callback so that what it throws or rejects with goes to `report`, once, and no further. */
export function reporting<Arguments extends unknown[]>(
  callback: (...args: Arguments) => unknown,
  report: (error: unknown) => void,
): (...args: Arguments) => void {
  return (...args) => {
    try {
      const result = callback(...args);
      if (isThenable(result)) Promise.resolve(result).then(undefined, report);
    } catch (error) {
      report(error);
    }
  };
}

/** Whether a value is a promise, or can be awaited as one. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === "function";
}

/**
 * Whether a value is a promise, or a list that contains one. Its later rejection is ignored, so that it
 * does not end the process: the caller throws a TypeError instead.
 */
export function silencePromises(value: unknown): boolean {
  if (typeof value === "string") return false;
  const promises = [value].flat(3).filter(isThenable);
  for (const promise of promises) Promise.resolve(promise).catch(() => {});
  return promises.length > 0;
}
