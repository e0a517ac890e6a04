/**
 * Limits how many connections exist at a time.
 *
 * @module
 */

/** A limited number of places, in total and for each address. */
export class Places {
  readonly #most: number;
  readonly #mostPerAddress: number;
  readonly #byAddress = new Map<string, number>();
  #taken = 0;

  /** Starts with all places free. */
  constructor(most: number, mostPerAddress: number) {
    this.#most = most;
    this.#mostPerAddress = mostPerAddress;
  }

  /** How many places are taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Takes a place where one is free. The function that it returns releases it; later calls do nothing. */
  take(address: string | undefined): (() => void) | undefined {
    const same = address === undefined ? 0 : this.#byAddress.get(address) ?? 0;
    if (this.#taken >= this.#most || same >= this.#mostPerAddress) return undefined;
    this.#taken++;
    if (address !== undefined) this.#byAddress.set(address, same + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#taken--;
      if (address === undefined) return;
      const others = this.#byAddress.get(address)! - 1;
      if (others > 0) this.#byAddress.set(address, others);
      else this.#byAddress.delete(address);
    };
  }
}

/**
 * The network for which an address counts. A host can use any number of IPv6 addresses in its /64 (RFC
 * 4291, section 2.5.1), so all of a /64 count as one. Any other text counts as it is.
 *
 * @example
 * ```ts
 * import { networkOf } from "./places.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(networkOf("2001:db8::1"), networkOf("2001:DB8:0:0:ffff::2"));
 * assert.equal(networkOf("::ffff:192.0.2.1"), "192.0.2.1");
 * ```
 */
export function networkOf(address: string): string {
  const [text = ""] = address.split("%"); // what follows is a zone, as in fe80::1%eth0
  const url = `http://[${text}]/`;
  if (!text.includes(":") || !URL.canParse(url)) return address;
  const [head = "", tail = ""] = new URL(url).hostname.slice(1, -1).split("::");
  const [first, last] = [head, tail].map((groups) => groups === "" ? [] : groups.split(":"));
  const zeros = Array(8 - first!.length - last!.length).fill("0");
  const groups = [...first!, ...zeros, ...last!];
  const isMapped = groups.slice(0, 6).join() === "0,0,0,0,0,ffff";
  if (!isMapped) return `${groups.slice(0, 4).join(":")}::/64`;
  const bytes = groups.slice(6).flatMap((
    group,
  ) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]);
  return bytes.join(".");
}
