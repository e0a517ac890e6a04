import assert from "node:assert/strict";
import { pathBelow } from "./base_path.ts";

const of = (base: string, path: string) => pathBelow(base, new Request(`http://localhost${path}`));

for (
  const [path, below] of [
    ["/load/", "/"],
    ["/load", "/"],
    ["/load/page2", "/page2"],
    ["/load/page2?a=/load/b", "/page2"],
    ["/load/load/page2", "/load/page2"],
    ["/page2", "/page2"],
    ["/", "/"],
    ["/loads", "/loads"],
    ["/none/load/", "/none/load/"],
    ["/%6Coad/page2", "/load/page2"],
    ["/load/a%20b", "/a b"],
  ] as const
) {
  Deno.test(`pathBelow() of ${path} is ${below}`, () => assert.equal(of("/load", path), below));
}

Deno.test("pathBelow() of a request with a malformed Host is the path, which some route refuses", () => {
  const request = new Request("http://localhost/load/page2");
  const url = "http://localhost:99999/load/page2"; // as Deno makes it
  assert.equal(
    pathBelow("/load", Object.defineProperty(request, "url", { value: url })),
    "/load/page2",
  );
});

Deno.test("pathBelow() without a base is the path", () => {
  assert.equal(of("", "/load/page2"), "/load/page2");
  assert.equal(of("", "/"), "/");
});

Deno.test("pathBelow() removes a base of several segments as a whole", () => {
  assert.equal(of("/a/b", "/a/b/c"), "/c");
  assert.equal(of("/a/b", "/a/c"), "/a/c");
});
