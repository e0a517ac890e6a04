/**
 * A reader in a process of its own, which a test can stop. It comes back when it is closed, asks for
 * what it missed, and writes one line for each event: `open`, `close CODE`, `at CURSOR TEXT`, where the
 * text is `mark`, `refresh`, `box`, or the number that was pushed.
 *
 * Usage: reader.ts URL [CONNECTIONS]
 *
 * @module
 */
const [url = "", count = "1"] = Deno.args;

function connect(cursor = ""): void {
  const query = cursor === "" ? "" : `?since=${cursor}`;
  const socket = new WebSocket(`${url}/turbo-stream${query}`, "turbo-stream.v1");
  socket.onopen = () => console.log("open");
  socket.onmessage = ({ data }) => {
    const end = data.indexOf("\n");
    cursor = data.slice(0, end);
    const html = data.slice(end + 1);
    const number = /<i>(\d+)<\/i>/.exec(html)?.[1];
    const text = html === "" ? "mark" : html.includes('"refresh"') ? "refresh" : number ?? "box";
    console.log(`at ${cursor} ${text}`);
  };
  socket.onclose = ({ code }) => {
    console.log(`close ${code}`);
    setTimeout(() => connect(cursor), 100);
  };
}

for (let i = 0; i < Number(count); i++) connect();
