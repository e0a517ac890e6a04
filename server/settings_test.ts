import assert from "node:assert/strict";
import {
  basePath,
  helpText,
  hostname,
  hosts,
  integer,
  number,
  type Options,
  origins,
  parseSettings,
  path,
  redisUrl,
  seconds,
  type SettingsOf,
  settingsOrExit,
  shortName,
  sourcesOf,
  UsageError,
} from "./settings.ts";

const OPTIONS = {
  port: {
    flag: "--port",
    placeholder: "N",
    variable: "PORT",
    parse: integer(0, 65_535),
    default: 8000,
    help: "Port to listen on",
  },
  allowOrigin: {
    flag: "--allow-origin",
    placeholder: "URL",
    variable: "ALLOW_ORIGIN",
    parse: origins,
    default: [],
    help: "Another origin, of which a word or two more is said than one line of the text can hold",
    repeatable: true,
  },
  state: {
    flag: "--state",
    placeholder: "FILE",
    variable: "STATE_FILE",
    parse: path,
    default: undefined,
    help: "Where it is kept",
  },
} satisfies Options;

function parse(args: string[], env: Record<string, string> = {}) {
  return parseSettings(OPTIONS, { args, env: (name) => env[name] });
}

Deno.test("parseSettings() returns the defaults of the table", () => {
  assert.deepEqual(parse([]), { port: 8000, allowOrigin: [], state: undefined });
});

Deno.test("parseSettings() takes the default for an environment, unless the option or its variable is set", () => {
  const options = {
    port: {
      ...OPTIONS.port,
      defaultIn: (env: (name: string) => string | undefined) => env("HOSTED") ? 80 : undefined,
    },
  };
  const port = (args: string[], env: Record<string, string>) =>
    parseSettings(options, { args, env: (name) => env[name] });
  assert.deepEqual(port([], {}), { port: 8000 });
  assert.deepEqual(port([], { HOSTED: "1" }), { port: 80 });
  assert.deepEqual(port([], { HOSTED: "1", PORT: "81" }), { port: 81 });
  assert.deepEqual(port(["--port=82"], { HOSTED: "1" }), { port: 82 });
});

Deno.test("parseSettings() reads the environment", () => {
  const env = {
    PORT: "1",
    ALLOW_ORIGIN: "https://a.example, http://b.example:81/",
    STATE_FILE: "s",
  };
  assert.deepEqual(parse([], env), {
    port: 1,
    allowOrigin: ["https://a.example", "http://b.example:81"],
    state: "s",
  });
});

Deno.test("parseSettings() prefers a flag to its variable, even where that is wrong", () => {
  assert.deepEqual(parse(["--port", "3", "--state=f"], { PORT: "x", STATE_FILE: "s" }), {
    port: 3,
    allowOrigin: [],
    state: "f",
  });
});

Deno.test("sourcesOf() names the flag or the variable of each setting, and none of a default", () => {
  const env: Record<string, string> = { PORT: "1", ALLOW_ORIGIN: "", STATE_FILE: "s" };
  assert.deepEqual(sourcesOf(OPTIONS, { args: ["--port", "2"], env: (name) => env[name] }), {
    port: "--port",
    allowOrigin: undefined,
    state: "STATE_FILE",
  });
});

Deno.test("parseSettings() treats an empty variable as not set, and an empty flag as a value", () => {
  assert.deepEqual(parse([], { PORT: "", STATE_FILE: "" }), parse([]));
  assert.throws(() => parse(["--port="]), /^UsageError: --port is ""/);
  assert.throws(() => parse(["--state", ""]), /^UsageError: --state is "": the path of a file/);
});

Deno.test("parseSettings() joins a repeatable flag, and uses the last of another", () => {
  const args = ["--allow-origin=https://a.example", "--allow-origin", "https://b.example"];
  assert.deepEqual(parse([...args, "--port=1", "--port=2"]), {
    port: 2,
    allowOrigin: ["https://a.example", "https://b.example"],
    state: undefined,
  });
});

Deno.test("parseSettings() returns that help or the version is asked for, whatever else is wrong", () => {
  for (const flag of ["--help", "-h"]) {
    assert.equal(parse([flag, "--port=x"], { PORT: "x" }), "help");
  }
  for (const flag of ["--version", "-V"]) assert.equal(parse(["--port=x", flag]), "version");
});

Deno.test("parseSettings() names the flag or the variable, the value and what is allowed", () => {
  const cases: [string[], Record<string, string>, string][] = [
    [["--port", "abc"], {}, '--port is "abc": a whole number from 0 to 65535 is needed'],
    [[], { PORT: "abc" }, 'PORT is "abc": a whole number from 0 to 65535 is needed'],
    [["--port", "-1"], {}, '--port is "-1": a whole number from 0 to 65535 is needed'],
    [
      [],
      { ALLOW_ORIGIN: "https://a, b" },
      'ALLOW_ORIGIN is "b": an origin such as https://example.com is needed',
    ],
    [["--port", "-x"], {}, '--port is "-x": a whole number from 0 to 65535 is needed'],
    [["--port", "-.5"], {}, '--port is "-.5": a whole number from 0 to 65535 is needed'],
    [["--port", "-"], {}, '--port is "-": a whole number from 0 to 65535 is needed'],
    [["--port"], {}, "--port has no value: --port N is needed"],
    [["--port", "--state", "s"], {}, "--port has no value: --port N is needed"],
    [["--state", "--port=1"], {}, "--state has no value: --state FILE is needed"],
    [["--state", "-h"], {}, "--state has no value: --state FILE is needed"],
    [["--port", "--", "1"], {}, "--port has no value: --port N is needed"],
    [["--", "--port", "1"], {}, "Unexpected argument '--port'"],
    [["-p", "80"], {}, "Unknown option '-p'"],
    [["--nonsense"], {}, "Unknown option '--nonsense'"],
    [["stray"], {}, "Unexpected argument 'stray'"],
    [["--help=no"], {}, "--help takes no value"],
    [["--port=1", "--nonsense=2"], {}, "Unknown option '--nonsense'"],
    [["https://ann:secret@a.example"], {}, "Unexpected argument 'https://…@a.example'"],
  ];
  for (const [args, env, message] of cases) {
    assert.throws(() => parse(args, env), { name: "UsageError", message });
  }
});

Deno.test("parseSettings() rethrows what is not a UsageError", () => {
  const broken = () => {
    throw new TypeError("a mistake in a parser");
  };
  const options = { port: { ...OPTIONS.port, parse: broken } };
  const args = ["--port=1"];
  assert.throws(() => parseSettings(options, { args, env: () => undefined }), TypeError);
});

const PARSERS: [string, (name: string, value: string) => unknown, [string, unknown][], string[]][] =
  [
    ["integer(1, 20)", integer(1, 20), [["1", 1], ["20", 20], ["007", 7]], [
      "0",
      "21",
      "1.5",
      "1e1",
      "-1",
      " 1",
      "0x1",
      "",
    ]],
    ["seconds(0.05, 60)", seconds(0.05, 60), [["0.05", 0.05], [".5", 0.5], ["2.", 2], ["60", 60]], [
      "0.04",
      "60.1",
      "NaN",
      "1e1",
      "Infinity",
      ".",
      "5s",
      "",
    ]],
    ["number(0.01, 10)", number(0.01, 10), [["0.01", 0.01], [".5", 0.5], ["1.", 1], ["10", 10]], [
      "0",
      "0.009",
      "10.1",
      "-1",
      "1e0",
      "1,5",
      "",
    ]],
    [
      "basePath",
      basePath,
      [["/load", "/load"], ["/a/b-c_d.e~1/", "/a/b-c_d.e~1"], ["/...", "/..."], ["/", undefined]],
      [
        "",
        "load",
        "//",
        "//host/a",
        "/a//b",
        "/a//",
        "/a/../b",
        "/..",
        "/./a",
        "/a?b",
        "/a#b",
        "/a b",
        "/%2e%2e",
        "/\\host",
        "/é",
        "/a\n",
        "https://a.example/load",
      ],
    ],
    ["hostname", hostname, [["::1", "::1"], ["a-b.example", "a-b.example"]], [
      "a b",
      "a/b",
      "-5",
      "",
    ]],
    ["origins", origins, [["https://a.example/", ["https://a.example"]], [" , ", []]], [
      "example.com",
      "https://a/b",
      "ws://a",
      "null",
      "https://*.a.example",
    ]],
    [
      "hosts",
      hosts,
      [
        ["A.example, localhost:8000", ["a.example", "localhost:8000"]],
        ["[::1]:8443,127.0.0.1,xn--mnchen-3ya.example", [
          "[::1]:8443",
          "127.0.0.1",
          "xn--mnchen-3ya.example",
        ]],
      ],
      [
        "",
        " , ",
        "a.example:80",
        "a.example:443",
        "a:",
        "a:08000",
        "*.a.example",
        "münchen.example",
        "127.1",
        "[0:0:0:0:0:0:0:1]",
        "::1",
        "https://a.example",
        "a.example/",
        "b@a.example",
        "a.example, b c",
      ],
    ],
    ["path", path, [["state/log", "state/log"], ["/a b", "/a b"]], ["", "a\0b"]],
  ];

for (const [name, parser, good, bad] of PARSERS) {
  Deno.test(`${name} accepts valid values, and rejects others with a UsageError`, () => {
    for (const [value, result] of good) assert.deepEqual(parser("--it", value), result, value);
    for (const value of bad) assert.throws(() => parser("--it", value), UsageError, value);
  });
}

Deno.test("hosts() suggests what a browser sends instead", () => {
  const cases = [
    ["münchen.example", "xn--mnchen-3ya.example"],
    ["a.example:80", "a.example"],
    ["a.example:443", "a.example"],
    ["127.1", "127.0.0.1"],
    ["[0:0:0:0:0:0:0:1]:81", "[::1]:81"],
  ] as const;
  for (const [host, sent] of cases) {
    const message =
      `--it is "${host}": a host such as example.com is needed; browsers send "${sent}"`;
    assert.throws(() => hosts("--it", host), { name: "UsageError", message });
  }
  const message = '--it is "*.a.example": a host such as example.com is needed';
  assert.throws(() => hosts("--it", "*.a.example"), { name: "UsageError", message });
});

Deno.test("UsageError shows 100 characters of a value, in one line", () => {
  assert.throws(() => parse(["--port", `\n${"9".repeat(1_000)}`]), ({ message }: Error) => {
    assert.match(message, /^--port is "\\n9{99}": /);
    return true;
  });
});

Deno.test("helpText() has a row for each option, with its default, and breaks long lines", () => {
  assert.equal(
    helpText(OPTIONS, { name: "demo", summary: "A demonstration." }),
    `A demonstration.

Usage: demo [options]

Options, with the environment variables that set the same; the option wins:
  --port N            PORT          Port to listen on (8000)
  --allow-origin URL  ALLOW_ORIGIN  Another origin, of which a word or two more is said than one
                                    line of the text can hold (none)
  --state FILE        STATE_FILE    Where it is kept (none)
  --help, -h                        Show this text
  --version, -V                     Show the version
`,
  );
});

Deno.test("an option without a variable is not looked for in the environment, and has none in the help", () => {
  const { variable: _, ...port } = OPTIONS.port;
  const settings = parseSettings({ port }, { args: [], env: () => assert.fail("asked") });
  assert.deepEqual(settings, { port: 8000 });
  assert.equal(
    helpText({ port }, { name: "demo", summary: "A demonstration." }),
    `A demonstration.

Usage: demo [options]

Options:
  --port N       Port to listen on (8000)
  --help, -h     Show this text
  --version, -V  Show the version
`,
  );
});

Deno.test("a row without a placeholder is a flag without a value, which no variable sets", () => {
  const table = { ...OPTIONS, dryRun: { flag: "--dry-run", help: "Change nothing" } } as const;
  const parse = (...args: string[]) => parseSettings(table, { args, env: () => "" });
  const { dryRun, port } = parse("--dry-run", "--port=1") as SettingsOf<typeof table>;
  assert.deepEqual([dryRun satisfies boolean, port satisfies number], [true, 1]);
  assert.equal((parse() as SettingsOf<typeof table>).dryRun, false);
  assert.throws(() => parse("--dry-run=yes"), UsageError);
  assert.throws(() => parse("--dry-run", "yes"), UsageError);
  assert.match(
    helpText(table, { name: "demo", summary: "A demonstration." }),
    /^ {2}--dry-run {25}Change nothing$/m,
  );
  assert.equal(sourcesOf(table, { args: ["--dry-run"], env: () => "" }).dryRun, undefined);
});

Deno.test("helpText() offers --licenses where there are licences", () => {
  const program = { name: "demo", summary: "A demonstration." };
  assert.doesNotMatch(helpText(OPTIONS, program), /licen/);
  assert.match(
    helpText(OPTIONS, { ...program, licenses: "MIT" }),
    /^ {2}--version, -V +Show the version\n {2}--licenses +Show the licences of all that this program carries\n$/m,
  );
});

/** The effects of {@linkcode settingsOrExit} with a command line. */
function run(args: string[], more: { licenses?: string } = {}) {
  const said: string[] = [];
  const program = {
    name: "demo",
    version: "1.2.3",
    summary: "A demonstration.",
    ...more,
    args,
    env: () => undefined,
    log: {
      log: (text: string) => said.push(`out: ${text}`),
      error: (text: string) => said.push(`error: ${text}`),
    },
    exit(code: number): never {
      said.push(`exit: ${code}`);
      throw new Error("The process has ended");
    },
  };
  try {
    return { settings: settingsOrExit(OPTIONS, program), said };
  } catch (error) {
    if (said.length === 0) throw error;
    return { said };
  }
}

Deno.test("settingsOrExit() returns the settings, and prints nothing", () => {
  assert.deepEqual(run(["--port=1"]), {
    settings: { port: 1, allowOrigin: [], state: undefined },
    said: [],
  });
});

Deno.test("settingsOrExit() prints in one line what is wrong, and exits with 2", () => {
  assert.deepEqual(run(["--port=x"]).said, [
    'error: demo: --port is "x": a whole number from 0 to 65535 is needed (see --help)',
    "exit: 2",
  ]);
});

Deno.test("settingsOrExit() shows help or the version, and exits with 0", () => {
  assert.deepEqual(run(["-V"]).said, ["out: demo 1.2.3", "exit: 0"]);
  const [help, exit] = run(["-h"]).said;
  assert.equal(
    help,
    `out: ${helpText(OPTIONS, { name: "demo", summary: "A demonstration." }).trimEnd()}`,
  );
  assert.equal(exit, "exit: 0");
});

Deno.test("settingsOrExit() shows licences and exits with 0, where there are some", () => {
  assert.deepEqual(run(["--port=x", "--licenses"], { licenses: "MIT\n" }).said, [
    "out: MIT",
    "exit: 0",
  ]);
  assert.deepEqual(run(["--licenses"]).said, [
    "error: demo: Unknown option '--licenses' (see --help)",
    "exit: 2",
  ]);
});

Deno.test({
  name: "settingsOrExit() takes a variable that it may not read as not set",
  permissions: { env: false },
  fn() {
    const program = { name: "demo", version: "1", summary: "", args: [] };
    assert.equal(settingsOrExit(OPTIONS, program).port, 8000);
  },
});

Deno.test("redisUrl() accepts the URL of a Redis server", () => {
  for (
    const url of [
      "redis://localhost",
      "redis://127.0.0.1:6379",
      "redis://[::1]:6379/2",
      "rediss://:p%40ss@redis.example:6380/",
      "redis://user:secret@redis.example",
    ]
  ) assert.equal(redisUrl("--redis", url), url);
});

Deno.test("redisUrl() accepts nothing else, and never shows a password", () => {
  for (
    const value of [
      "",
      "secret",
      "http://:secret@redis.example",
      "redis://:secret@",
      "redis://:sec/secret@redis.example",
      "redis://:%secret@redis.example",
      "redis://:secret@redis.example:99999",
      "redis://:secret@redis.example/name",
      "redis://redis.example?password=secret",
      "redis://redis.example#secret",
    ]
  ) {
    assert.throws(() => redisUrl("--redis", value), ({ name, message }) => {
      assert.equal(name, "UsageError", value);
      assert.match(message, /^--redis is wrong: a URL such as redis:\/\/localhost:6379/);
      assert.doesNotMatch(message, /secret/);
      return true;
    });
  }
});

Deno.test("parseSettings() shows no password of a URL at the wrong option", () => {
  for (
    const arg of [
      "redis://:se@cret@host",
      "--rediss=redis://:se@cret@host",
      "-redis://:cret@host",
      "--port=redis://:cret@host",
    ]
  ) {
    assert.throws(() => parse([arg]), ({ name, message }) => {
      assert.equal(name, "UsageError");
      assert.doesNotMatch(message, /cret/);
      return true;
    });
  }
});

Deno.test("shortName() accepts what can be shown in a line", () => {
  assert.equal(shortName(8)("--node", " web 1ß "), "web 1ß");
  assert.equal(shortName(8)("--node", "👩‍💻"), "👩‍💻");
  for (const value of ["", " ", "a\nb", "\0", "123456789", "\ud800", "\u200b", "\u202eb"]) {
    assert.throws(() => shortName(8)("--node", value), {
      name: "UsageError",
      message: `--node is ${JSON.stringify(value)}: a name of 1 to 8 characters is needed`,
    });
  }
});
