/**
 * A reader in a process of its own, which a test can stop. It reconnects when it is closed, asks for
 * what it missed, and writes one line for each event: `open`, `close CODE`, `at CURSOR TEXT`, where the
 * text is `mark`, `refresh`, `box`, or the number that was pushed.
 *
 * Usage: reader.ts URL [CONNECTIONS]
 *
 * @module
 */
import { parseFrame, PROTOCOL } from "./kit.ts";

const [url = "", count = "1"] = Deno.args;

function connect(cursor = ""): void {
  const query = cursor === "" ? "" : `?since=${cursor}`;
  const socket = new WebSocket(`${url}/turbo-stream${query}`, PROTOCOL);
  socket.onopen = () => console.log("open");
  socket.onmessage = ({ data }) => {
    for (const entry of parseFrame(data)) {
      cursor = entry.cursor;
      console.log(`at ${cursor} ${textOf(entry.html)}`);
    }
  };
  socket.onclose = ({ code }) => {
    console.log(`close ${code}`);
    setTimeout(() => connect(cursor), 100);
  };
}

function textOf(html: string): string {
  if (html === "") return "mark";
  if (html.includes('"refresh"')) return "refresh";
  return /<i>(\d+)<\/i>/.exec(html)?.[1] ?? "box";
}

for (let i = 0; i < Number(count); i++) connect();
