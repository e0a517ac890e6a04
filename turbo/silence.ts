/**
 * How long a server has been silent, on two connections: one for reads, which the server holds while there
 * is nothing new, and one for everything else. Pure.
 *
 * @module
 */

/** Tracks requests and answers on both connections. Times are in milliseconds of one clock. */
export class Silence {
  #heardAt = 0;
  #readAt = 0;
  /** How many commands are unanswered, and when the last answer came or, later, the first was sent. */
  #unanswered = 0;
  #answeredAt = 0;

  /** Both connections have opened. */
  open(now: number): void {
    this.#heardAt = this.#readAt = this.#answeredAt = now;
    this.#unanswered = 0;
  }

  /** A command was sent. */
  ask(now: number, isRead: boolean): void {
    if (isRead) this.#readAt = now;
    else if (this.#unanswered++ === 0) this.#answeredAt = now;
  }

  /** An answer has come. */
  hear(now: number, isRead: boolean): void {
    this.#heardAt = now;
    if (isRead) return;
    this.#unanswered--;
    this.#answeredAt = now;
  }

  /** The time since the last answer on either connection. */
  total(now: number): number {
    return now - this.#heardAt;
  }

  /** The time since the last read was sent. */
  ofRead(now: number): number {
    return now - this.#readAt;
  }

  /** The time since there was progress on the unanswered commands; 0 where there are none. */
  ofCommands(now: number): number {
    return this.#unanswered > 0 ? now - this.#answeredAt : 0;
  }
}
