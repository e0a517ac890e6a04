/**
 * The servers that are compared: how each is installed and started. They are installed into a directory
 * for temporary files, outside the repository.
 *
 * @module
 */
import { replace } from "../turbo/mod.ts";
import { box } from "./peers/box.ts";

/** The directory in which peers are built and installed. */
export const WORKSHOP: string = `${Deno.env.get("TMPDIR") ?? "/tmp"}/turbo-deno-bench`;

const HERE = new URL("./peers/", import.meta.url).pathname;
const ROOT = new URL("../", import.meta.url).pathname;

/** The versions that are installed. */
export const VERSIONS = {
  ws: "8.23.0",
  bun: "1.4.5",
  turboFlask: "0.8",
  gunicorn: "27.0.1",
  gevent: "26.9.0",
  gorilla: "v1.5.3",
  socketIo: "4.8.4",
  socketIoRedisStreams: "0.3.1",
  redisClient: "5.10.0", // that with which the adapter is tested
} as const;

/** A server that can be started. */
export interface Peer {
  /** Its name in results. */
  readonly name: string;
  /** Its description, with its version. */
  readonly title: string;
  /** Installs it; throws when that is not possible here. */
  install(): Promise<void>;
  /** The command that serves on `PORT`. */
  readonly command: readonly string[];
  /** Further environment. */
  readonly env?: Record<string, string>;
}

const DENO = Deno.execPath();

/** All of them; the app first. */
export const PEERS: readonly Peer[] = [
  {
    name: "turbo-deno",
    title: "this app",
    install: nothing,
    command: [DENO, "run", "-A", `${HERE}turbo_deno.ts`],
  },
  {
    name: "bare-deno",
    title: `Deno.upgradeWebSocket loop, Deno ${Deno.version.deno}`,
    install: nothing,
    command: [DENO, "run", "-A", `${HERE}bare_deno.ts`],
  },
  {
    name: "write-loop",
    title: "write() loop in C",
    install: () => buildC([`${HERE}write_loop.c`], "write_loop").then(() => {}),
    command: [`${WORKSHOP}/write_loop`],
  },
  {
    name: "ws-node",
    title: `ws ${VERSIONS.ws} on Node`,
    install: () => npm(`ws@${VERSIONS.ws}`, "ws"),
    command: ["node", `${HERE}ws_node.mjs`],
    env: { MODULES: `${WORKSHOP}/npm` },
  },
  {
    name: "bun",
    title: `server.publish of Bun ${VERSIONS.bun}`,
    install: () => npm(`@oven/bun-linux-x64@${VERSIONS.bun}`, "@oven/bun-linux-x64"),
    command: [`${WORKSHOP}/npm/node_modules/@oven/bun-linux-x64/bin/bun`, `${HERE}bun.js`],
  },
  {
    name: "turbo-flask",
    title: `Turbo-Flask ${VERSIONS.turboFlask} on gunicorn ${VERSIONS.gunicorn}, gevent`,
    install: installFlask,
    // Flask's own advice for WebSockets on gevent: one worker, and room for all readers.
    command: [
      `${WORKSHOP}/venv/bin/gunicorn`,
      "--worker-class=gevent",
      "--workers=1",
      "--worker-connections=12000",
      "--backlog=4096",
      "--keep-alive=60",
      "--log-level=critical",
      `--chdir=${HERE}`,
      "turbo_flask_app:app",
    ],
  },
  {
    name: "gorilla",
    title: `gorilla/websocket ${VERSIONS.gorilla} (Go)`,
    install: installGo,
    command: [`${WORKSHOP}/go/gorilla`],
  },
];

/** What `start` starts: the app itself, its bundle, and a least app of the extension beside its like. */
export const STARTED: readonly Peer[] = [
  {
    name: "turbo-deno",
    title: "this app, from its sources",
    install: nothing,
    command: [DENO, "run", "-A", `${ROOT}main.ts`],
    env: { HOST: "127.0.0.1" },
  },
  {
    name: "turbo-deno bundled",
    title: "this app, from what `deno task build` makes, as on a Deno host",
    install: () => run([DENO, "task", "build"], ROOT),
    command: [DENO, "run", "-A", `${ROOT}dist/app/main.js`],
    env: { HOST: "127.0.0.1" },
  },
  {
    name: "extension",
    title: "an app with one page, on Hono and this extension",
    install: nothing,
    command: [DENO, "run", "-A", `${HERE}extension.ts`],
  },
  {
    name: "hono",
    title: "an app with one page, on Hono alone",
    install: nothing,
    command: [DENO, "run", "-A", `${HERE}hono.ts`],
  },
];

/** The peers of `jitter` and `deploy` only. */
export const FIELD: readonly Peer[] = ["socket.io", "socket.io recovery"].map((name): Peer => ({
  name,
  title: `Socket.IO ${VERSIONS.socketIo} on Node`,
  install: installSocketIo,
  command: ["node", `${HERE}socket_io.mjs`],
  env: {
    MODULES: `${WORKSHOP}/npm`,
    ...(name === "socket.io recovery" && { RECOVERY: "1" }),
  },
}));

/** The app with a bare loop over its own sockets. */
export const SAME_SOCKETS: Peer = {
  name: "same-sockets",
  title: "this app, and a bare loop over its sockets",
  install: nothing,
  command: [DENO, "run", "-A", `${HERE}same_sockets.ts`],
};

/** The Redis server of nodes. It answers an HTTP request with an error, which shows that it is up. */
export const REDIS: Peer = {
  name: "redis-server",
  title: "redis-server, and what needs it",
  install: () => run(["redis-server", "--version"]),
  command: [
    "sh",
    "-c",
    `exec redis-server --port "$PORT" --bind 127.0.0.1 --dir ${WORKSHOP} --save "" --appendonly no`,
  ],
};

/** The bare loop on several nodes: each push is published to all of them, without an order or a log. */
export const BARE_REDIS: Peer = {
  name: "bare-deno",
  title: "Deno.upgradeWebSocket loop behind PUBLISH and SUBSCRIBE",
  install: nothing,
  command: [DENO, "run", "-A", `${HERE}bare_redis.ts`],
};

/** Builds a C program, and returns the path of the executable. */
export async function buildC(sources: readonly string[], name: string): Promise<string> {
  await Deno.mkdir(WORKSHOP, { recursive: true });
  const binary = `${WORKSHOP}/${name}`;
  await run(["gcc", "-O2", "-o", binary, ...sources]);
  return binary;
}

/** A running server. */
export class RunningPeer implements AsyncDisposable {
  /** Its peer. */
  readonly peer: Peer;
  /** The port on which it listens. */
  readonly port: number;
  /** Milliseconds from its start to the first byte of its page. */
  startMs = 0;
  /** Milliseconds of processor time until then. */
  startCpu = 0;
  readonly #child: Deno.ChildProcess;

  private constructor(peer: Peer, port: number, env: Record<string, string>) {
    this.peer = peer;
    this.port = port;
    const [command, ...args] = peer.command;
    this.#child = new Deno.Command("sh", {
      args: ["-c", 'ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"', command!, ...args],
      env: {
        ...peer.env,
        ...env,
        PORT: String(port),
        BOX: String(box("########")),
        MESSAGE: replace("load", box("########")),
        PAGE: `${WORKSHOP}/page.json`,
        TEMPLATES: WORKSHOP,
        GUNICORN_CMD_ARGS: `--bind=127.0.0.1:${port}`,
        PYTHONDONTWRITEBYTECODE: "1",
      },
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
  }

  /** Starts it, with further environment, and waits for its page. Without a port it gets a free one. */
  static async start(
    peer: Peer,
    env: Record<string, string> = {},
    port = freePort(),
  ): Promise<RunningPeer> {
    const start = performance.now();
    const running = new RunningPeer(peer, port, env);
    for (;;) {
      try {
        await firstByte(port);
        running.startMs = performance.now() - start;
        running.startCpu = running.cpu();
        return running;
      } catch (error) {
        const late = performance.now() - start > 30_000;
        if (error instanceof Deno.errors.ConnectionRefused && !late) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          continue;
        }
        await running[Symbol.asyncDispose]();
        throw error;
      }
    }
  }

  /** Milliseconds of processor time of the process and its children, to the nanosecond (schedstat). */
  cpu(): number {
    return this.pids().reduce((sum, pid) => sum + cpuOf(pid), 0);
  }

  /** Resident bytes of the process and its children. */
  memory(): number {
    return this.pids().reduce((sum, pid) => {
      const status = Deno.readTextFileSync(`/proc/${pid}/status`);
      return sum + Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
    }, 0);
  }

  /** Asks it to end by SIGTERM, and resolves when it has. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.status;
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.pids().reverse()) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // it ended with its parent
      }
    }
    await this.#child.status;
  }

  /** The process and its children. */
  pids(): number[] {
    const parents = new Map<number, number>();
    for (const { name } of Deno.readDirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        // The name is in parentheses and may contain spaces; the state and the parent follow.
        const text = Deno.readTextFileSync(`/proc/${name}/stat`);
        parents.set(Number(name), Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]));
      } catch (error) {
        if (!isGone(error)) throw error;
      }
    }
    const tree = new Set([this.#child.pid]);
    for (let size = 0; size < tree.size;) {
      size = tree.size;
      for (const [pid, parent] of parents) if (tree.has(parent)) tree.add(pid);
    }
    return [...tree].filter((pid) => parents.has(pid));
  }
}

// Documentation/scheduler/sched-stats.rst: the first figure is the time spent on the processor.
function cpuOf(pid: number): number {
  let nanoseconds = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    try {
      const text = Deno.readTextFileSync(`/proc/${pid}/task/${name}/schedstat`);
      nanoseconds += Number(text.split(" ")[0]);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return nanoseconds / 1e6;
}

/** Stores the app's page for the peers that serve a copy of it. */
export async function copyPage(port: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/`);
  const body = await response.text();
  const own = ["content-length", "date", "vary"];
  const headers = [...response.headers].filter(([name]) => !own.includes(name));
  await Deno.writeTextFile(`${WORKSHOP}/page.json`, JSON.stringify({ headers, body }));
  let cell = 0;
  const template = body.replace(/<td>\d+\.\d\d<\/td>/g, () => `<td>{{ load[${cell++}] }}</td>`)
    .replace(/<script[^]*?<\/script>/, "{{ turbo() }}").replace(/<script[^]*?<\/script>/, "");
  await Deno.writeTextFile(`${WORKSHOP}/page.html`, template);
}

async function nothing(): Promise<void> {}

async function npm(spec: string, folder: string): Promise<void> {
  const prefix = `${WORKSHOP}/npm`;
  await Deno.mkdir(prefix, { recursive: true });
  if (await exists(`${prefix}/node_modules/${folder}/package.json`)) return;
  await run(["npm", "install", "--no-audit", "--no-fund", "--prefix", prefix, spec]);
}

async function installSocketIo(): Promise<void> {
  const { socketIo, socketIoRedisStreams, redisClient } = VERSIONS;
  await npm(`ws@${VERSIONS.ws}`, "ws"); // the same as without Socket.IO
  await npm(`socket.io@${socketIo}`, "socket.io");
  await npm(`socket.io-client@${socketIo}`, "socket.io-client");
  const adapter = "@socket.io/redis-streams-adapter";
  await npm(`${adapter}@${socketIoRedisStreams}`, adapter);
  await npm(`redis@${redisClient}`, "redis");
}

async function installFlask(): Promise<void> {
  const { turboFlask, gunicorn, gevent } = VERSIONS;
  const venv = `${WORKSHOP}/venv`;
  if (await exists(`${venv}/bin/gunicorn`)) return;
  await run(["python3", "-m", "venv", venv]);
  const packages = [
    `turbo-flask==${turboFlask}`,
    `gunicorn[gevent]==${gunicorn}`,
    `gevent==${gevent}`,
  ];
  await run([`${venv}/bin/pip`, "install", "--quiet", ...packages]);
}

async function installGo(): Promise<void> {
  const folder = `${WORKSHOP}/go`;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.copyFile(`${HERE}gorilla.go`, `${folder}/main.go`);
  if (!await exists(`${folder}/go.mod`)) await run(["go", "mod", "init", "peer"], folder);
  if (!await exists(`${folder}/go.sum`)) {
    await run(["go", "get", `github.com/gorilla/websocket@${VERSIONS.gorilla}`], folder);
  }
  await run(["go", "build", "-o", "gorilla", "."], folder);
}

async function run([command, ...args]: string[], cwd?: string): Promise<void> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(command!, {
      args,
      ...(cwd !== undefined && { cwd }),
      stdout: "piped",
      stderr: "piped",
    }).output();
    if (success) return;
    const said = new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
    throw new Error(`${command} ${args[0]} failed: ${said.trim().split("\n").at(-1)}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new Error(`there is no ${command} here`);
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function freePort(): number {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  return listener.addr.port;
}

async function firstByte(port: number): Promise<void> {
  using connection = await Deno.connect({ port, hostname: "127.0.0.1" });
  const request = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  await connection.write(new TextEncoder().encode(request));
  await connection.read(new Uint8Array(1));
}

// A process or thread that has ended. If its file is open the error is ESRCH, which has no class in Deno.
function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    (error instanceof Error && error.message.includes("os error 3"));
}
