/**
 * A reader of server-sent events (WHATWG HTML, section 9.2.6).
 *
 * @module
 */

/** One event. */
export interface ServerSentEvent {
  /** Its type; `message` where it does not state one. */
  readonly type: string;
  /** The id that was sent last, with this event or an earlier one. */
  readonly id: string;
  /** Its text. */
  readonly data: string;
}

/** Yields the events of a body as they arrive; events that arrive together are one list. */
export async function* eventsIn(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): AsyncGenerator<readonly ServerSentEvent[]> {
  const decoder = new TextDecoder();
  let text = "";
  let id = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const blocks = text.split(/(?:\r\n|\r(?!\n)|\n){2}/);
    text = blocks.pop()!;
    const events: ServerSentEvent[] = [];
    for (const block of blocks) {
      const fields = fieldsOf(block);
      id = fields.get("id") ?? id;
      const data = fields.get("data");
      if (data !== undefined) events.push({ type: fields.get("event") ?? "message", id, data });
    }
    if (events.length > 0) yield events;
  }
}

function fieldsOf(block: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of block.split(/\r\n|\r|\n/)) {
    const [, name = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (name === "") continue; // a comment
    const before = fields.get(name);
    fields.set(name, name === "data" && before !== undefined ? `${before}\n${value}` : value);
  }
  return fields;
}
