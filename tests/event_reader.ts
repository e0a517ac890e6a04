/**
 * A reader of server-sent events in a process of its own. It writes `open` when it is connected.
 *
 * Usage: event_reader.ts URL
 *
 * @module
 */
const response = await fetch(`${Deno.args[0]}/turbo-stream`, {
  headers: { Accept: "text/event-stream" },
});
for await (const _ of response.body!) console.log("open");
