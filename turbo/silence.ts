/**
 * How long a server has said nothing, on two connections: one for reads, which it answers late where there
 * is nothing to say, and one for all else. Pure.
 *
 * @module
 */

/** What was asked and heard on both connections. Times are in milliseconds of one clock. */
export class Silence {
  #heardAt = 0;
  #readAt = 0;
  /** Commands that are not answered, and when one was answered last, or the first of them asked. */
  #unanswered = 0;
  #answeredAt = 0;

  /** Both were opened. */
  open(now: number): void {
    this.#heardAt = this.#readAt = this.#answeredAt = now;
    this.#unanswered = 0;
  }

  /** Something was asked. */
  ask(now: number, isRead: boolean): void {
    if (isRead) this.#readAt = now;
    else if (this.#unanswered++ === 0) this.#answeredAt = now;
  }

  /** Something was answered. */
  hear(now: number, isRead: boolean): void {
    this.#heardAt = now;
    if (isRead) return;
    this.#unanswered--;
    this.#answeredAt = now;
  }

  /** For how long nothing was heard at all. */
  total(now: number): number {
    return now - this.#heardAt;
  }

  /** For how long the read waits that is open. */
  ofRead(now: number): number {
    return now - this.#readAt;
  }

  /** For how long the oldest command waits, or a sign that it is getting on. */
  ofCommands(now: number): number {
    return this.#unanswered > 0 ? now - this.#answeredAt : 0;
  }
}
