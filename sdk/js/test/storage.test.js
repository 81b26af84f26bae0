// Storages by themselves: whose turn it is, and that what they give out is a copy.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Device, IndexedDbStorage, MemoryStorage, TextStorage } from "../dist/index.js";
import { URL_OF_FAKE, newCa, newVersion, serverOf } from "./fake.js";

const newText = (text) => ({ read: async () => text, write: async () => {} });

/** Runs `test` as if this platform had no Web Locks, whatever it has. */
async function withoutLocks(test) {
  const former = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  try {
    await test();
  } finally {
    if (former === undefined) {
      delete globalThis.navigator;
    } else {
      Object.defineProperty(globalThis, "navigator", former);
    }
  }
}

/** Work that ends when it is told to, and what has begun. */
function workshop() {
  const begun = [];
  const ends = {};
  const work = (name) => () => {
    begun.push(name);
    return new Promise((resolve) => (ends[name] = () => resolve(name)));
  };
  return { begun, ends, work };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

describe("turns", () => {
  for (const [name, storages] of [
    ["MemoryStorage", async () => Array(4).fill(new MemoryStorage())],
    ["TextStorage", async () => Array(4).fill(await TextStorage.open(newText()))],
    ["IndexedDbStorage", async () => Array.from({ length: 4 }, () => new IndexedDbStorage("one"))],
  ]) {
    test(`of ${name}: who is aborted does nothing, and hinders nobody`, () =>
      withoutLocks(async () => {
        const [first, second, third, fourth] = await storages();
        const { begun, ends, work } = workshop();
        const controller = new AbortController();
        const reason = new Error("enough");
        const one = first.exclusive(work(1));
        const two = second.exclusive(work(2), controller.signal);
        const three = third.exclusive(work(3));
        const refused = assert.rejects(two, (error) => error === reason);
        controller.abort(reason);
        // At once, and not when it would be its turn.
        await refused;
        await assert.rejects(fourth.exclusive(work(4), controller.signal), (error) => error === reason);
        await settled();
        assert.deepEqual(begun, [1]);
        ends[1]();
        assert.equal(await one, 1);
        await settled();
        assert.deepEqual(begun, [1, 3]);
        ends[3]();
        assert.equal(await three, 3);
        // A signal that is not aborted, or too late, changes nothing.
        const late = new AbortController();
        const five = first.exclusive(work(5), late.signal);
        await settled();
        late.abort(reason);
        ends[5]();
        assert.equal(await five, 5);
      }));
  }

  test("of two IndexedDbStorages that are of other names", () =>
    withoutLocks(async () => {
      const { begun, ends, work } = workshop();
      const both = ["a", "b"].map((name) => new IndexedDbStorage(name).exclusive(work(name)));
      await settled();
      assert.deepEqual(begun, ["a", "b"]);
      Object.values(ends).forEach((end) => end());
      await Promise.all(both);
    }));

  test("work that fails ends its turn", async () => {
    const storage = new MemoryStorage();
    await assert.rejects(storage.exclusive(() => Promise.reject(new Error("no"))), /^Error: no$/);
    assert.equal(await storage.exclusive(async () => "next"), "next");
  });
});

describe("what is given out and taken is a copy", () => {
  for (const [name, open] of [
    ["MemoryStorage", async () => new MemoryStorage()],
    ["TextStorage", () => TextStorage.open(newText())],
  ]) {
    test(name, async () => {
      const storage = await open();
      const fetch = serverOf([await newVersion(1, await newCa())]);
      const { membership: put } = await new Device({ storage, fetch }).join(URL_OF_FAKE);
      const { url } = put;
      const read = async () => ({
        identity: await storage.identity(),
        added: await storage.addIdentity(await storage.identity()),
        membership: await storage.membership(url),
        all: await storage.memberships(),
      });
      // As a text, which cannot change with what is read.
      const before = JSON.stringify(await read());
      const { signKey } = await storage.identity();
      const results = await read();
      for (const changed of [results.membership, results.all[0], put]) {
        Object.assign(changed.credentials[0].privateKey, { kty: "RSA" });
        changed.credentials[0].x5c[0] = "";
        Object.assign(changed.credentials[0], { kid: "" });
        changed.credentials.push("");
        changed.caCertificates[0] = "";
        changed.standing = "leaving";
      }
      for (const changed of [results.identity, results.added]) {
        changed.publicJwk.x = "";
        changed.guid = "";
      }
      results.all.pop();
      assert.equal(JSON.stringify(await read()), before);
      // The keys are the same ones: they cannot be changed.
      assert.equal((await storage.identity()).signKey, signKey);

      const mine = { ...(await storage.identity()), guid: "mine" };
      const fresh = await open();
      await fresh.addIdentity(mine);
      mine.guid = "changed";
      assert.equal((await fresh.identity()).guid, "mine");
    });
  }
});

test("a text that cannot be read is a local error", async () => {
  const read = () => Promise.reject(new Error("no permission"));
  await assert.rejects(TextStorage.open({ read, write: async () => {} }), (error) => {
    assert.deepEqual([error.kind, error.cause.message], ["local", "no permission"]);
    return true;
  });
});
