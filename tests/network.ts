/**
 * A network of one cable, which a test can pull.
 *
 * @module
 */
import assert from "node:assert/strict";
import { QUICK } from "./kit.ts";
import { succeeds } from "./processes.ts";

/** Another host, as far as TCP can see. */
export interface Network extends AsyncDisposable {
  /** What stands in front of a program that runs there. */
  readonly command: readonly string[];
  /** The address of this process as seen from there. */
  readonly address: string;
  /** Pulls the cable: nothing comes or goes any more, and nobody is told. */
  cut(): Promise<void>;
}

const PROBE = `probe${crypto.randomUUID().slice(0, 8)}`;

/** Whether networks can be made here: on Linux, with the right to. */
export const CAN_MAKE_NETWORKS: boolean = !QUICK && Deno.build.os === "linux" &&
  await succeeds("ip", "netns", "add", PROBE) &&
  await succeeds("ip", "netns", "del", PROBE);
if (!CAN_MAKE_NETWORKS && !QUICK) {
  console.log("NOTICE: no network namespaces here, tests of half-open connections are skipped");
}

/**
 * A network namespace joined to this one by a cable, with names and addresses that no other has: the
 * kernel takes a cable away some time after its namespace was deleted.
 */
export async function makeNetwork(): Promise<Network> {
  await using parts = new AsyncDisposableStack();
  const id = crypto.randomUUID().slice(0, 8);
  const name = `turbo${id}`;
  const link = `tda${id}`;
  const peer = `tdb${id}`;
  const number = parseInt(id.slice(0, 4), 16);
  const [high, low] = [number >> 6 & 255, number << 2 & 252];
  const [address, other] = [1, 2].map((end) => `10.203.${high}.${low + end}`);
  await run("ip", "netns", "add", name);
  parts.defer(() => run("ip", "netns", "del", name)); // and the cable with it
  await run("ip", "link", "add", link, "type", "veth", "peer", "name", peer, "netns", name);
  await run("ip", "addr", "add", `${address}/30`, "dev", link);
  await run("ip", "link", "set", link, "up");
  await run("ip", "-n", name, "addr", "add", `${other}/30`, "dev", peer);
  await run("ip", "-n", name, "link", "set", peer, "up");
  const network = parts.move();
  return {
    command: ["ip", "netns", "exec", name],
    address: address!,
    cut: () => run("ip", "link", "set", link, "down"),
    [Symbol.asyncDispose]: () => network.disposeAsync(),
  };
}

async function run(...command: [string, ...string[]]): Promise<void> {
  assert(await succeeds(...command), command.join(" "));
}
