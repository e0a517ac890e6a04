/**
 * `wire`: the bytes of one message above TCP.
 *
 * @module
 */
import { type Bench, openReaders, sidesOf, startAll } from "../sides.ts";

/** Measured once, because it is the same each time. */
export async function measureWire({ driver, peers, note }: Bench): Promise<void> {
  await using running = await startAll(sidesOf(peers));
  for (const { side, server } of running.all) {
    await openReaders(driver, server, side, 10);
    const pushed = await driver.push({ count: 10, expect: 10 });
    await driver.close();
    const sample = { round: 0, side: side.name, at: "" };
    note({ ...sample, figure: "bytes/message", value: pushed.bytes / pushed.messages });
  }
}
