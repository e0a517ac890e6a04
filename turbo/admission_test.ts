import assert from "node:assert/strict";
import { Admission, type Visitor } from "./admission.ts";
import { CLOSE } from "./protocol.ts";
import { Signer } from "./token.ts";

function start(maxConnections = 10) {
  const signer = new Signer({ secret: "a secret of this test", lifetime: 60_000, onNotice() {} });
  const admission = new Admission({
    isOff: false,
    allowedOrigins: [],
    maxConnections,
    maxConnectionsPerAddress: Infinity,
    signer,
  });
  const request = new Request("http://localhost/", { headers: { Accept: "text/event-stream" } });
  const admit = (as: string) => admission.admit(request, { as });
  return { admission, signer, admit: (as: string) => admit(as) as Visitor, refused: admit };
}

Deno.test("Admission closes what is being opened when its name is sent away, and nothing else", () => {
  const { admission, admit } = start();
  const [before, ann, bob] = [admit("ann"), admit("ann"), admit("bob")];
  assert.equal(before.opened(), undefined);
  admission.disconnect("ann");
  assert.equal(ann.opened(), CLOSE.sentAway);
  assert.equal(ann.opened(), undefined, "it was told");
  assert.equal(bob.opened(), undefined);
  assert.equal(admit("ann").opened(), undefined, "one who comes later is for the app to refuse");
});

Deno.test("Admission.close() refuses who comes, and closes what is being opened", () => {
  const { admission, admit, refused } = start();
  const ann = admit("ann");
  admission.close(CLOSE.restarting);
  assert.equal(ann.opened(), CLOSE.restarting);
  assert.equal((refused("bob") as Response).status, 503);
});

Deno.test("Admission gives a place back once, whether the connection was opened or not", () => {
  const { admission, admit, refused } = start(2);
  const [ann, bob] = [admit("ann"), admit("bob")];
  assert.equal((refused("eve") as Response).status, 503);
  ann.opened();
  for (const visitor of [ann, bob, ann, bob]) visitor.release();
  assert.equal(admission.taken, 0);
  admission.disconnect("bob");
  assert.equal(bob.opened(), undefined, "it is not being opened any more");
});

Deno.test("A visitor listens to its own names and to the topics that were signed for it", () => {
  const { signer, admit } = start();
  const ann = admit("ann");
  const names = (token?: string) => {
    const names = ann.names(token);
    return names && [...names];
  };
  assert.deepEqual(names(), ["ann"]);
  assert.deepEqual(names(signer.sign(["room"], undefined)), ["ann", "room"]);
  assert.deepEqual(names(signer.sign(["room"], "ann")), ["ann", "room"]);
  assert.equal(names(signer.sign(["room"], "bob")), undefined);
  assert.equal(names("a.b"), undefined);
});
