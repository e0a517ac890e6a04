/**
 * A lock on the network interfaces of this machine, for test files that run at the same time: Chromium
 * aborts what it loads when an interface or an address changes (`net::ERR_NETWORK_CHANGED`).
 *
 * @module
 */

const CACHE = new URL("../.cache/", import.meta.url).pathname;

/**
 * Waits until nobody changes the interfaces or, for a test that is to change them, until nobody relies on
 * them either. Ends with the test.
 */
export async function lockInterfaces(options: { toChange: boolean }): Promise<Disposable> {
  await Deno.mkdir(CACHE, { recursive: true });
  const file = await Deno.open(`${CACHE}interfaces.lock`, { create: true, write: true });
  try {
    await file.lock(options.toChange);
  } catch (error) {
    file.close();
    throw error;
  }
  return file;
}
