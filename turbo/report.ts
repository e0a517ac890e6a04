/**
 * What a callback throws or rejects with: it is reported, and nothing else happens.
 *
 * @module
 */

/**
 * What went wrong, in one line. The error itself is never formatted, nor its stack: where no file
 * descriptor is left Deno panics over that.
 */
export function reasonOf(error: unknown): string {
  try {
    return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
  } catch {
    return "something that cannot be shown"; // its `message` or `toString` throws
  }
}

/** A callback that ends nothing: what it throws, or rejects with, is given to `report` once. */
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
 * Whether something is a promise or a list with one in it. Where that rejects later, it does not end
 * the process: whoever gave it gets a TypeError instead.
 */
export function silencePromises(value: unknown): boolean {
  if (typeof value === "string") return false;
  const promises = [value].flat(3).filter(isThenable);
  for (const promise of promises) Promise.resolve(promise).catch(() => {});
  return promises.length > 0;
}
