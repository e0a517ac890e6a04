import assert from "node:assert/strict";
import { DEADLINE, until, WITH_PROCESS } from "../tests/kit.ts";
import { countDelivery } from "./delivery.ts";
import { Publisher, type ReaderRecord, Readers } from "./field.ts";
import { now } from "./readers/record.mjs";
import { PEERS, RunningPeer } from "./peers.ts";

const LINUX = { ignore: WITH_PROCESS.ignore || Deno.build.os !== "linux" };
const MESSAGES = 20;

Deno.test(
  "Readers of the app receive all once and in order, those that lose their line too",
  LINUX,
  async () => {
    const [app] = PEERS;
    await using server = await RunningPeer.start(app!);
    await using readers = await Readers.start(app!, [server.port], 3);
    const { lines, addresses } = readers;
    const publisher = new Publisher([server.port]);
    await publisher.publish(MESSAGES / 2, 5);
    lines.lose(addresses[0]!, { isTold: true });
    lines.lose(addresses[1]!, { isTold: false });
    await publisher.publish(MESSAGES / 2, 5);
    for (const address of addresses) lines.restore(address);
    assert(await readers.areOpen(DEADLINE));
    let records: ReaderRecord[] = [];
    const areComplete = async () => {
      records = await readers.records();
      return records.every(({ received }) => received.length >= MESSAGES);
    };
    await until(areComplete, "all have all messages");
    const received = records.map(({ received }) => received);
    const { share, lost, twice, outOfOrder } = countDelivery(publisher.sent, received, now());
    assert.deepEqual([share, lost, twice, outOfOrder], [100, 0, 0, 0]);
    assert.deepEqual(
      records.map(({ away }) => away.length),
      [2, 2, 1],
      "at the start, and once cut",
    );
    assert.deepEqual(records.map(({ fetched }) => fetched), [0, 0, 0]);
  },
);
