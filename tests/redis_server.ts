/**
 * A real redis-server for tests, on a free port and with files of its own. No server that runs already,
 * such as that of the Debian package, is needed or touched.
 *
 * @module
 */
import assert from "node:assert/strict";
import { freePort, isListening, QUICK, until, within } from "./kit.ts";
import { succeeds } from "./processes.ts";

const canRun = !QUICK && Deno.build.os !== "windows" && await succeeds("redis-server", "--version");
if (!canRun && !QUICK) console.log("NOTICE: redis-server is not installed, its tests are skipped");

/** Options of a test with a Redis. */
export const WITH_REDIS: Pick<Deno.TestDefinition, "ignore"> = { ignore: !canRun };

/** Options of a server. */
export interface TestRedisOptions {
  /** Options of redis-server, such as `["--requirepass", "secret"]`. */
  args?: readonly string[];
  /** Whether it accepts only TLS, with a certificate for `localhost` from an authority of its own. */
  isTls?: boolean;
}

/** A server that ends with the test. */
export interface TestRedis extends AsyncDisposable {
  /** `redis://127.0.0.1:PORT`; with TLS `rediss://localhost:PORT`. */
  readonly url: string;
  /** The port. */
  readonly port: number;
  /** `HOST:PORT`, as in the URL. */
  readonly name: string;
  /** The certificate file of the authority, with TLS. */
  readonly authority: string;
  /** Runs a command by `redis-cli`, and returns its output. */
  cli(...args: string[]): Promise<string>;
  /** Kills it, as a power failure would; its data is lost. */
  kill(): Promise<void>;
  /** Starts it again on the same port, without data. */
  restart(): Promise<void>;
  /** Suspends it, so that it neither answers nor ends a connection. */
  pause(): void;
  /** Resumes it. */
  resume(): void;
}

/** Starts a server. */
export async function startRedis(
  { args = [], isTls = false }: TestRedisOptions = {},
): Promise<TestRedis> {
  await using made = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir({ prefix: "turbo-deno-redis-" });
  made.defer(() => Deno.remove(directory, { recursive: true }));
  const port = freePort();
  const authority = `${directory}/ca.pem`;
  if (isTls) await makeCertificate(directory);
  const listens = isTls
    ? [
      ...["--port", "0", "--tls-port", `${port}`, "--tls-auth-clients", "no"],
      ...["--tls-cert-file", `${directory}/cert.pem`, "--tls-key-file", `${directory}/key.pem`],
      ...["--tls-ca-cert-file", authority],
    ]
    : ["--port", `${port}`];
  let child: Deno.ChildProcess | undefined;
  const signal = (name: Deno.Signal) => child?.kill(name);
  async function kill() {
    signal("SIGKILL");
    await within(Promise.resolve(child?.status), "redis-server to end");
    child = undefined;
  }
  async function run() {
    child = new Deno.Command("redis-server", {
      args: [
        ...listens,
        ...["--bind", "127.0.0.1", "--dir", directory, "--save", "", "--appendonly", "no"],
        ...args,
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
    let hasEnded = false;
    child.status.then(() => hasEnded = true);
    await until(() => {
      assert(!hasEnded, "redis-server has ended at once");
      return isListening(port);
    }, "redis-server listens");
  }
  async function cli(...command: string[]): Promise<string> {
    const tls = isTls ? ["--tls", "--cacert", authority, "-h", "localhost"] : [];
    const { stdout } = await new Deno.Command("redis-cli", {
      args: ["-p", `${port}`, ...tls, ...command],
      stderr: "null",
    }).output();
    return new TextDecoder().decode(stdout).trim();
  }
  made.defer(kill);
  await run();
  const all = made.move();
  const name = `${isTls ? "localhost" : "127.0.0.1"}:${port}`;
  return {
    url: `${isTls ? "rediss" : "redis"}://${name}`,
    port,
    name,
    authority,
    cli,
    kill,
    async restart() {
      await kill();
      await run();
    },
    pause: () => signal("SIGSTOP"),
    resume: () => signal("SIGCONT"),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Makes a certificate for localhost and the authority that signed it, as files in a directory. */
async function makeCertificate(directory: string): Promise<void> {
  const at = (name: string) => `${directory}/${name}`;
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const request = ["req", "-x509", ...key, "-days", "2"];
  const isMade = await succeeds(
    "openssl",
    ...[...request, "-subj", "/CN=turbo-deno test", "-keyout", at("ca.key"), "-out", at("ca.pem")],
  ) && await succeeds(
    "openssl",
    ...[...request, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
    ...[
      "-addext",
      "basicConstraints=critical,CA:FALSE",
      "-CA",
      at("ca.pem"),
      "-CAkey",
      at("ca.key"),
    ],
    ...["-keyout", at("key.pem"), "-out", at("cert.pem")],
  );
  assert(isMade, "openssl makes no certificate");
}
