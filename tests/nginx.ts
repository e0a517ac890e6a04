/**
 * A real nginx with the files of deploy/.
 *
 * @module
 */
import assert from "node:assert/strict";
import { freePort, within } from "./kit.ts";
import { encode, get, listens, needs, reloadBy, siteClients, siteDirectory } from "./site.ts";

/** Options of a test with an nginx. */
export const WITH_NGINX: Pick<Deno.TestDefinition, "ignore"> = await needs("nginx", "-v");

/** The configuration of an existing nginx with these sites. */
function nginxWith(sites: string): string {
  return `error_log /var/log/nginx/error.log;
pid /run/nginx.pid;
worker_processes auto;
events { worker_connections 30000; }
http {
  access_log /var/log/nginx/access.log;
  client_body_temp_path /var/lib/nginx/body;
  proxy_temp_path /var/lib/nginx/proxy;
  ${sites}
}`;
}

/** A site of an existing nginx. */
function siteOf(name: string, content: string): string {
  return `server { listen 80; listen 443 ssl http2; server_name ${name};
    ssl_certificate /etc/ssl/turbo-deno/fullchain.pem;
    ssl_certificate_key /etc/ssl/turbo-deno/privkey.pem;
    ${content} }`;
}

/** An nginx with a site of its own after ours. */
const OTHER_NGINX = nginxWith(`include nginx-site.conf;
  ${siteOf("other.example", "return 200 other;")}`);

/** An nginx whose site has other things, and ours below a path. */
const SITE_WITH_PATH = nginxWith(siteOf(
  "example.org",
  `location / { return 200 other; }
    location ~ \\.(?:css|js|png)$ { return 404; }
    include nginx-path.conf;`,
));

/** The text of nginx.conf, nginx-site.conf and nginx-path.conf. */
export async function filesOfDeploy(): Promise<{ main: string; site: string; path: string }> {
  const read = (name: string) => Deno.readTextFile(new URL(`../deploy/${name}`, import.meta.url));
  return {
    main: await read("nginx.conf"),
    site: await read("nginx-site.conf"),
    path: await read("nginx-path.conf"),
  };
}

/** What nginx.conf is, and the file that it includes. */
type Form = "whole" | "snippet" | "path";

/**
 * Starts a real nginx with the files of deploy/, on free ports and in a directory of its own. `changes` are
 * made in their text, which must contain each of them. Several apps are servers of the upstream. A header
 * sets the address of a client.
 */
export async function startNginx(
  app: { url: string } | readonly { url: string }[],
  changes: Readonly<Record<string, string>> = {},
  form: Form = "whole",
) {
  await using made = new AsyncDisposableStack();
  const { path: directory, cert } = made.use(await siteDirectory("nginx"));
  const [tls, plain] = [freePort(), freePort()];
  const { main, site, path } = await filesOfDeploy();
  const hosts = [app].flat().map(({ url }) => new URL(url).host);
  const servers = hosts.map((host) => `server ${host}$1;`).join("\n");
  const files: Record<string, string> = form === "path"
    ? { "nginx.conf": SITE_WITH_PATH, "nginx-path.conf": path }
    : { "nginx.conf": form === "whole" ? main : OTHER_NGINX, "nginx-site.conf": site };
  const unused = new Set(Object.keys(changes));
  for (const [name, text] of Object.entries(files)) {
    let conf = text
      .replace(/^worker_processes .*$/m, "worker_processes 1;\nuser root;")
      .replace(/^worker_rlimit_nofile .*$/m, "worker_rlimit_nofile 8192;")
      .replace("worker_connections 30000", "worker_connections 4000")
      .replaceAll(/listen \[::\]:.*\n/g, "\n")
      .replaceAll("listen 80;", `listen 127.0.0.1:${plain};`)
      .replaceAll("listen 443 ", `listen 127.0.0.1:${tls} `)
      .replace(/^ *server 127\.0\.0\.1:8000(.*);$/m, servers)
      .replaceAll("proxy_pass http://127.0.0.1:8000", `proxy_pass http://${hosts[0]}`)
      .replace("server_name example.org;", "server_name localhost;")
      .replaceAll(
        /\/etc\/ssl\/turbo-deno|\/var\/log\/nginx|\/var\/lib\/nginx|\/run(?=\/nginx)/g,
        directory,
      )
      .replace(
        "http {",
        `http {\nset_real_ip_from 127.0.0.1; real_ip_header X-Test-Address;\n${
          ["fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${directory}/${name};`)
            .join("\n")
        }`,
      );
    for (const [old, next] of Object.entries(changes)) {
      if (!conf.includes(old)) continue;
      conf = conf.replaceAll(old, next);
      unused.delete(old);
    }
    await Deno.writeTextFile(`${directory}/${name}`, conf);
  }
  assert.deepEqual([...unused], [], "changes that were not to be made");
  const clients = made.use(siteClients({ tls, plain, cert }));
  made.defer(stop);
  let child: Deno.ChildProcess | undefined;
  await run();

  async function run() {
    child = new Deno.Command("nginx", {
      args: [
        "-p",
        directory,
        "-c",
        `${directory}/nginx.conf`,
        "-e",
        `${directory}/error.log`,
        "-g",
        "daemon off;",
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
    await listens(tls, "nginx");
  }
  async function stop() {
    child?.kill("SIGTERM");
    await within(Promise.resolve(child?.status), "nginx to end");
    child = undefined;
  }
  async function postSlowly(headers: Record<string, string> = {}) {
    const conn = await clients.connect();
    const more = { "Content-Length": "2", "Expect": "100-continue", ...headers };
    await conn.write(encode(get("POST /slow HTTP/1.1", more)));
    const chunk = new Uint8Array(1024);
    const read = await within(conn.read(chunk), "nginx to want the body");
    assert.match(new TextDecoder().decode(chunk.subarray(0, read ?? 0)), /^HTTP\/1\.1 100 /);
    await conn.write(encode("x"));
    let isOpen = true;
    function close() {
      if (isOpen) conn.close();
      isOpen = false;
    }
    return {
      async finish() {
        await conn.write(encode("x"));
        await within(conn.read(chunk), "an answer");
        close();
      },
      [Symbol.dispose]: close,
    };
  }
  const all = made.move();
  return {
    ...clients,
    /** Posts all of a body but its last byte, and returns when nginx wants the body. */
    postSlowly,
    /** Everything that it has logged. */
    logs: () =>
      [...Deno.readDirSync(directory)].filter(({ name }) => name.endsWith(".log"))
        .map(({ name }) => Deno.readTextFileSync(`${directory}/${name}`)).join(""),
    reload: () => reloadBy("SIGHUP", child!),
    async restart(meanwhile: () => Promise<void>) {
      await stop();
      await meanwhile();
      await run();
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** The header by which a client sets its address. */
export function from(address: string): Record<string, string> {
  return { "X-Test-Address": address };
}
