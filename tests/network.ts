/**
 * A network with one cable, which a test can unplug.
 *
 * @module
 */
import assert from "node:assert/strict";
import { lockInterfaces } from "./interfaces.ts";
import { QUICK } from "./kit.ts";
import { succeeds } from "./processes.ts";

/** What appears as another host to TCP. */
export interface Network extends AsyncDisposable {
  /** The command prefix that runs a program there. */
  readonly command: readonly string[];
  /** The address of this process as seen from there. */
  readonly address: string;
  /** Unplugs the cable: nothing passes any more, and neither side notices. */
  cut(): Promise<void>;
}

const PROBE = `probe${crypto.randomUUID().slice(0, 8)}`;

/** Whether networks can be made here, which needs Linux and permission. */
export const CAN_MAKE_NETWORKS: boolean = !QUICK && Deno.build.os === "linux" &&
  await succeeds("ip", "netns", "add", PROBE) &&
  await succeeds("ip", "netns", "del", PROBE);
if (!CAN_MAKE_NETWORKS && !QUICK) {
  console.log("NOTICE: no network namespaces here, tests of half-open connections are skipped");
}

/**
 * A network namespace that is connected to this one by a cable, with a name and addresses of its own. No
 * browser of the tests runs meanwhile.
 */
export async function makeNetwork(): Promise<Network> {
  await using parts = new AsyncDisposableStack();
  parts.use(await lockInterfaces({ toChange: true }));
  const id = crypto.randomUUID().slice(0, 8);
  const name = `turbo${id}`;
  const link = `tda${id}`;
  const peer = `tdb${id}`;
  const number = parseInt(id.slice(0, 4), 16);
  const [high, low] = [number >> 6 & 255, number << 2 & 252];
  const [address, other] = [1, 2].map((end) => `10.203.${high}.${low + end}`);
  await run("ip", "netns", "add", name);
  parts.defer(() => run("ip", "netns", "del", name));
  await run("ip", "link", "add", link, "type", "veth", "peer", "name", peer, "netns", name);
  parts.defer(() => run("ip", "link", "del", link)); // the namespace's end would delete it later
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
