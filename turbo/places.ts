/**
 * How many may be connected at a time.
 *
 * @module
 */

/** A bounded number of places, in all and for each address. */
export class Places {
  readonly #most: number;
  readonly #mostPerAddress: number;
  readonly #byAddress = new Map<string, number>();
  #taken = 0;

  /** All places are free. */
  constructor(most: number, mostPerAddress: number) {
    this.#most = most;
    this.#mostPerAddress = mostPerAddress;
  }

  /** Places that are taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Takes a place where one is free; the function gives it back, once however often it is called. */
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
