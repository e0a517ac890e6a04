import assert from "node:assert/strict";
import { LineWriter, type Sink } from "./line_writer.ts";

const NEVER = 60_000;

/** A sink that a test lets take what waits, or refuse it. */
class TestSink implements Sink {
  /** What it has taken. */
  text = "";
  /** How often it was asked. */
  writes = 0;
  /** What it does next: takes so many bytes, or throws. */
  next: () => Promise<number> | number = () => Infinity;

  async write(bytes: Uint8Array): Promise<number> {
    this.writes++;
    const count = Math.min(await this.next(), bytes.length);
    this.text += new TextDecoder().decode(bytes.subarray(0, count));
    return count;
  }
}

Deno.test("LineWriter.write() keeps the order, and writes the lines of one turn together", async () => {
  const sink = new TestSink();
  const writer = new LineWriter({ sink });
  writer.write("one");
  writer.write("zwei für drei");
  await writer.flush(NEVER);
  writer.write("three");
  await writer.flush(NEVER);
  assert.equal(sink.text, "one\nzwei für drei\nthree\n");
  assert.equal(sink.writes, 2);
});

Deno.test("LineWriter.write() never splits a line of at most 4,096 bytes over two writes", async () => {
  const sink = new TestSink();
  const sizes: number[] = [];
  const write = sink.write.bind(sink);
  sink.write = (bytes) => (sizes.push(bytes.length), write(bytes));
  const writer = new LineWriter({ sink });
  for (let n = 0; n < 10; n++) writer.write("x".repeat(1_000));
  await writer.flush(NEVER);
  assert.deepEqual(sizes, [4_004, 4_004, 2_002]);
});

Deno.test("LineWriter.write() goes on where the sink takes a part", async () => {
  const sink = new TestSink();
  sink.next = () => 2;
  const writer = new LineWriter({ sink });
  writer.write("abcde");
  await writer.flush(NEVER);
  assert.equal(sink.text, "abcde\n");
});

Deno.test("LineWriter.write() does not wait for a stuck sink, holds a bounded part, and reports the rest", async () => {
  const sink = new TestSink();
  const stuck = Promise.withResolvers<number>();
  sink.next = () => stuck.promise;
  const writer = new LineWriter({ sink, maxBuffered: 30, lost: (count) => `${count} lost` });
  for (let n = 0; n < 10; n++) writer.write(`line ${n} ..`); // 10 bytes each
  await writer.flush(1); // its deadline ends the wait
  assert.equal(sink.text, "");
  stuck.resolve(Infinity);
  await writer.flush(NEVER);
  assert.equal(sink.text, "line 0 ..\nline 1 ..\nline 2 ..\n7 lost\n");
  writer.write("after");
  await writer.flush(NEVER);
  assert.match(sink.text, /7 lost\nafter\n$/, "once");
});

Deno.test("LineWriter.write() loses the lines of a write that fails, reports them later, and goes on", async () => {
  const sink = new TestSink();
  sink.next = () => Promise.reject(new Deno.errors.BrokenPipe());
  const writer = new LineWriter({ sink, lost: (count) => `${count} lost` });
  writer.write("one");
  writer.write("two");
  await writer.flush(NEVER);
  sink.next = () => 0; // which would be asked for ever
  writer.write("three");
  await writer.flush(NEVER);
  sink.next = () => Infinity;
  writer.write("four");
  await writer.flush(NEVER);
  assert.equal(sink.text, "four\n3 lost\n");
});

Deno.test("LineWriter.write() tries again where another process has made the pipe non-blocking", async () => {
  const sink = new TestSink();
  sink.next = () => sink.writes < 3 ? Promise.reject(new Deno.errors.WouldBlock()) : Infinity;
  const writer = new LineWriter({ sink });
  writer.write("one");
  await writer.flush(NEVER);
  assert.equal(sink.text, "one\n");
});
