/**
 * The four proxies with their files of deploy/: nginx, Caddy, HAProxy and Apache.
 *
 * @module
 */
import assert from "node:assert/strict";
import { freePort, pause, until, within } from "./kit.ts";
import { startNginx, WITH_NGINX } from "./nginx.ts";
import { outputOf, startCommand, type TestProcess } from "./processes.ts";
import {
  childrenOf,
  listens,
  needs,
  reloadBy,
  type SiteClients,
  siteClients,
  siteDirectory,
} from "./site.ts";

/** A proxy in front of an app. */
export interface ProxySite extends SiteClients {
  /** Lets it read its files again, as its service does for `reload`; resolves when the new one answers. */
  reload(): Promise<void>;
}

/** One of the proxies. */
export interface Proxy {
  /** The file of deploy/ that is run. */
  readonly file: string;
  /** Options of a test with it. */
  readonly options: Pick<Deno.TestDefinition, "ignore">;
  /**
   * Starts it on free ports, in a directory of its own, without what a package installs. `changes` are made in
   * the text of its file, which must contain each of them.
   */
  start(
    app: { readonly url: string },
    changes?: Readonly<Record<string, string>>,
  ): Promise<ProxySite>;
}

/** What a site is made of, by the name of its program. */
interface Parts {
  name: string;
  file: string;
  /** What is replaced in its file; each must be in it. */
  changes: (at: Place) => readonly [old: string | RegExp, next: string][];
  /** The text before the file, which a package or the system provides otherwise. */
  before?: (at: Place) => string;
  command: (at: Place) => string[];
  env?: (at: Place) => Record<string, string>;
  reload: (at: Place, process: TestProcess) => Promise<void>;
}

/** Where a site runs. */
interface Place {
  directory: string;
  conf: string;
  tls: number;
  plain: number;
  app: string;
}

async function start(
  parts: Parts,
  { url }: { readonly url: string },
  changes: Readonly<Record<string, string>> = {},
): Promise<ProxySite> {
  await using made = new AsyncDisposableStack();
  const { path: directory, cert } = made.use(await siteDirectory(parts.name));
  const conf = `${directory}/${parts.file}`;
  const at = { directory, conf, tls: freePort(), plain: freePort(), app: new URL(url).host };
  let text = await Deno.readTextFile(new URL(`../deploy/${parts.file}`, import.meta.url));
  for (const [old, next] of [...Object.entries(changes), ...parts.changes(at)]) {
    const changed = text.replaceAll(old, next);
    assert.notEqual(changed, text, `${old} is not in ${parts.file}`);
    text = changed;
  }
  await Deno.writeTextFile(conf, (parts.before?.(at) ?? "") + text);
  const clients = made.use(siteClients({ ...at, cert }));
  const process = made.use(startCommand(parts.command(at), { env: parts.env?.(at) ?? {} }));
  await Promise.race([
    Promise.all([listens(at.tls, parts.name), listens(at.plain, parts.name)]),
    process.ended.then((code) =>
      assert.fail(`${parts.name} ended with ${code}: ${process.errors}`)
    ),
  ]);
  made.defer(async () => {
    const { child, ended } = process;
    child.kill("SIGSTOP"); // so that it starts no more children
    const children = await childrenOf(child.pid);
    // Children would wait for their open connections, and so would Caddy, which has none.
    for (const pid of children) Deno.kill(Number(pid), "SIGKILL");
    child.kill(children.length > 0 ? "SIGTERM" : "SIGKILL"); // otherwise nobody would reap them
    child.kill("SIGCONT");
    await within(ended, `${parts.name} to end`);
  });
  const all = made.move();
  return {
    ...clients,
    reload: () => parts.reload(at, process),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

const caddyEnv = ({ directory }: Place) => ({ HOME: directory, XDG_DATA_HOME: directory });

const CADDY: Parts = {
  name: "caddy",
  file: "Caddyfile",
  changes: ({ directory, tls, plain, app }) => [
    [
      "{\n\tservers {",
      `{\n\tadmin unix/${directory}/admin.sock\n\thttp_port ${plain}\n\thttps_port ${tls}\n\tservers {`,
    ],
    [
      "example.org {",
      `localhost {\n\tbind 127.0.0.1\n\ttls ${directory}/fullchain.pem ${directory}/privkey.pem`,
    ],
    ["127.0.0.1:8000", app],
  ],
  command: ({ conf }) => ["caddy", "run", "--adapter", "caddyfile", "--config", conf],
  env: caddyEnv,
  async reload(at) {
    const address = ["--address", `unix/${at.directory}/admin.sock`];
    const file = ["--adapter", "caddyfile", "--config", at.conf];
    await outputOf(["caddy", "reload", "--force", ...address, ...file], { env: caddyEnv(at) });
  },
};

const HAPROXY: Parts = {
  name: "haproxy",
  file: "haproxy.cfg",
  changes: ({ directory, tls, plain, app }) => [
    ["maxconn 30000", "maxconn 2000"],
    ["bind :80\n", `bind 127.0.0.1:${plain}\n`],
    [
      "bind :443 ssl crt /etc/ssl/turbo-deno/haproxy.pem",
      `bind 127.0.0.1:${tls} ssl crt ${directory}/haproxy.pem`,
    ],
    ["-i example.org", "-i localhost"],
    ["127.0.0.1:8000", app],
  ],
  command: ({ directory, conf }) => [
    "sh",
    "-c",
    `cd ${directory} && cat fullchain.pem privkey.pem > haproxy.pem && exec haproxy -W -f ${conf}`,
  ],
  async reload(_, process) {
    const loads = () => process.errors.split("Loading success").length;
    const before = loads();
    await until(async () => {
      process.child.kill("SIGUSR2"); // which it ignores for a moment after it has started
      await pause(50);
      return loads() > before;
    }, "HAProxy has a new process");
  },
};

/** The modules that Debian loads, and those that the file names. */
const MODULES = [
  ..."mpm_event authz_core socache_shmcb ssl alias".split(" "),
  ..."proxy proxy_http headers reqtimeout".split(" "),
];

const APACHE: Parts = {
  name: "apache",
  file: "apache.conf",
  before: ({ directory, tls, plain }) =>
    [
      `ServerRoot ${directory}`,
      `DefaultRuntimeDir ${directory}`,
      `PidFile ${directory}/apache.pid`,
      `ErrorLog ${directory}/error.log`,
      "ServerName localhost",
      ...MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`),
      `Listen 127.0.0.1:${plain}`,
      `Listen 127.0.0.1:${tls}`,
      "",
    ].join("\n"),
  changes: ({ directory, tls, plain, app }) => [
    ["<VirtualHost *:80>", `<VirtualHost *:${plain}>`],
    ["<VirtualHost *:443>", `<VirtualHost *:${tls}>`],
    ["ServerName example.org", "ServerName localhost"],
    ["https://example.org/", `https://localhost:${tls}/`],
    [/\/etc\/ssl\/turbo-deno|\/var\/log\/apache2/g, directory],
    ["127.0.0.1:8000", app],
  ],
  command: ({ conf }) => ["apache2", "-f", conf, "-DFOREGROUND"],
  reload: (_, { child }) => reloadBy("SIGUSR1", child),
};

/** The proxies, by their names. */
export const PROXIES: Readonly<Record<string, Proxy>> = {
  "nginx": { file: "nginx-site.conf", options: WITH_NGINX, start: startNginx },
  "Caddy": proxyOf(CADDY, await needs("caddy", "version")),
  "HAProxy": proxyOf(HAPROXY, await needs("haproxy", "-v")),
  "Apache": proxyOf(APACHE, await needs("apache2", "-v")),
};

function proxyOf(parts: Parts, options: Proxy["options"]): Proxy {
  return { file: parts.file, options, start: (app, changes) => start(parts, app, changes) };
}
