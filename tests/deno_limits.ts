/**
 * Measures what only Deno can fix, for the figures in docs/limits.md: how a page is served beside a client
 * that sends pongs at full speed, and what remains of handshakes that are reset before the answer.
 *
 * Usage: deno task limits
 *
 * @module
 */
import { handshake, HostileClient, repeat, resetAfter } from "./hostile.ts";
import { pause } from "./kit.ts";
import { startStream } from "./processes.ts";
import { frame } from "./raw.ts";
import { Witness } from "./witness.ts";

const SECONDS = 5;
const RESETS = 2_000;
const PONGS = repeat(frame(new Uint8Array(), { opcode: 10 }), 20_000);

await measurePongs();
await measureResets();

async function measurePongs(): Promise<void> {
  await using app = await startStream();
  await using witness = await Witness.connect(app.url);
  await using client = await HostileClient.open(app.port);
  client.write(handshake());
  await pause(1_000);
  const before = witness.pushes;
  const end = performance.now() + SECONDS * 1000;
  let bytes = 0;
  while (performance.now() < end) {
    if (client.hasRoom) {
      client.write(PONGS);
      bytes += PONGS.length;
    }
    await pause(0);
  }
  const rate = (bytes / SECONDS / 1e6).toFixed(1);
  const pushes = witness.pushes - before;
  console.log(`${rate} MB/s of pongs: another page got ${pushes} of ${SECONDS * 10} pushes`);
}

async function measureResets(): Promise<void> {
  await using app = await startStream({ isControl: true });
  for (let n = 0; n < RESETS / 4; n++) await resetAfter(handshake(), app.port); // to warm up
  const [before, descriptors] = [await app.report(), count(app.child.pid)];
  for (let n = 1; n <= RESETS; n++) {
    await resetAfter(handshake(), app.port);
    if (n % 20 === 0) await pause(20);
  }
  await pause(15_000);
  const after = await app.report();
  const opened = after.opened - before.opened;
  const lost = RESETS - opened;
  const kept = (count(app.child.pid) - descriptors) / lost;
  const heap = (after.heap - before.heap) / lost / 1000;
  const rss = (after.rss - before.rss) / lost / 1000;
  console.log(
    `${lost} handshakes were reset before they were answered; a bare server keeps of each ` +
      `${kept.toFixed(2)} descriptors, ${heap.toFixed(1)} KB of heap, ${
        rss.toFixed(1)
      } KB resident`,
  );
}

function count(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}
