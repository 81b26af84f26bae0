// What every call of a device keeps to, without a server.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, test } from "node:test";

import { Device, MemoryStorage, TextStorage } from "../dist/index.js";
import { URL_OF_FAKE, newCa, newVersion, serverOf } from "./fake.js";
import { seal } from "./seal.js";

const kind = (wanted) => (error) => {
  assert.equal(error.kind, wanted, error.stack);
  return true;
};

const CALLS = {
  join: (device, url, options) => device.join(url, options),
  preview: (device, url, options) => device.preview(url, options),
  leave: (device, url, options) => device.leave(url, options),
  forget: (device, url, options) => device.forget(url, options),
  describe: (device, url, options) => device.describe(url, options),
  caCertificates: (device, url, options) => device.caCertificates(url, options),
  membership: (device, url) => device.membership(url),
  verify: (device, url) => device.verify(url),
  open: (device, url) => device.open(url, ""),
};

/** A device that has joined the fake domain with these versions, and its storage. */
async function joined(options = {}) {
  const storage = new MemoryStorage();
  const versions = [await newVersion(1, await newCa())];
  await new Device({ storage, fetch: serverOf(versions) }).join(URL_OF_FAKE);
  return { storage, device: new Device({ storage, retry: { attempts: 1 }, ...options }) };
}

for (const [name, call] of Object.entries(CALLS)) {
  test(`${name} rejects for a URL that is none, and does not throw`, async () => {
    const { device } = await joined();
    const promise = call(device, "living-room");
    await assert.rejects(promise, (error) => {
      assert.match(error.message, /^living-room is not a domain server URL/);
      return kind("usage")(error);
    });
    for (const secret of ["https://user:hunter2@example.org/a", "https://user:hunter2@[/a"]) {
      await assert.rejects(call(device, secret), (error) => {
        assert.doesNotMatch(`${error.stack} ${JSON.stringify(error)}`, /hunter2/);
        return kind("usage")(error);
      });
    }
  });
}

describe("a signal", () => {
  /** Aborts after everything that can happen at once has happened. */
  const soon = (controller, reason) => setTimeout(() => controller.abort(reason), 20);

  for (const name of ["join", "preview", "leave", "forget"]) {
    test(`ends the wait of ${name} for another call, and then it does nothing`, async () => {
      const requests = [];
      let asked;
      const isAsked = new Promise((resolve) => (asked = resolve));
      const { device, storage } = await joined({
        fetch: (url) => {
          requests.push(url);
          return new Promise((_, reject) => asked(reject));
        },
      });
      const before = await storage.membership((await storage.memberships())[0].url);
      const other = device.join(URL_OF_FAKE);
      const fail = await isAsked;
      const controller = new AbortController();
      const reason = new Error("enough");
      const call = CALLS[name](device, URL_OF_FAKE, { signal: controller.signal });
      soon(controller, reason);
      await assert.rejects(call, (error) => error === reason);
      const next = device.forget(URL_OF_FAKE);
      assert.deepEqual(await storage.memberships(), [before]);
      fail(new Error("no network"));
      await assert.rejects(other, kind("unreachable"));
      // Who came after it has its turn.
      await next;
      assert.deepEqual(await storage.memberships(), []);
      assert.equal(requests.length, 1);
    });
  }

  test("ends the wait also where a storage leaves signals aside", async () => {
    const { device, storage } = await joined();
    let begin;
    storage.exclusive = (work) => new Promise((resolve) => (begin = () => resolve(work())));
    const controller = new AbortController();
    const reason = new Error("enough");
    const call = device.forget(URL_OF_FAKE, { signal: controller.signal });
    soon(controller, reason);
    await assert.rejects(call, (error) => error === reason);
    begin();
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal((await storage.memberships()).length, 1);
  });

  test("is the reason also where the platform says AbortError", async () => {
    const { device, storage } = await joined();
    storage.exclusive = (_work, signal) =>
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(new DOMException("", "AbortError"))),
      );
    const controller = new AbortController();
    soon(controller, "enough");
    const call = device.forget(URL_OF_FAKE, { signal: controller.signal });
    await assert.rejects(call, (error) => error === "enough");
  });

  for (const name of ["join", "preview", "leave"]) {
    test(`ends the wait of ${name} for a token`, async () => {
      const { device } = await joined({ token: () => new Promise(() => {}) });
      const controller = new AbortController();
      const reason = new Error("enough");
      soon(controller, reason);
      const call = CALLS[name](device, URL_OF_FAKE, { signal: controller.signal });
      await assert.rejects(call, (error) => error === reason);
    });
  }

  for (const name of ["describe", "caCertificates"]) {
    test(`ends ${name}`, async () => {
      const { device } = await joined({ fetch: () => assert.fail("sent") });
      const reason = new Error("enough");
      const call = CALLS[name](device, URL_OF_FAKE, { signal: AbortSignal.abort(reason) });
      await assert.rejects(call, (error) => error === reason);
    });
  }
});

describe("errors that are not of this SDK at first", () => {
  test("a token function's stays what it is", async () => {
    const own = new Error("signed out");
    const { device } = await joined({ token: () => Promise.reject(own) });
    for (const name of ["join", "preview", "leave"]) {
      await assert.rejects(CALLS[name](device, URL_OF_FAKE), (error) => error === own);
    }
  });

  test("a storage's lock that fails is a local error", async () => {
    const { device, storage } = await joined();
    const own = new Error("no locks here");
    storage.exclusive = () => Promise.reject(own);
    await assert.rejects(device.forget(URL_OF_FAKE), (error) => {
      assert.equal(error.cause, own);
      return kind("local")(error);
    });
  });

  test("no WebCrypto is a usage error that says what it needs", async () => {
    const text = { read: async () => undefined, write: async (written) => (text.written = written) };
    const storage = await TextStorage.open(text);
    const fetch = serverOf([await newVersion(1, await newCa())]);
    await new Device({ storage, fetch }).join(URL_OF_FAKE);
    const { device } = await joined();
    const [credential] = (await device.membership(URL_OF_FAKE)).credentials;
    const jwe = seal(credential, "content");
    const wanted = (error) => {
      assert.match(error.message, /WebCrypto.* https/);
      return kind("usage")(error);
    };
    Object.defineProperty(crypto, "subtle", { value: undefined, configurable: true });
    try {
      await assert.rejects(new Device({ storage: new MemoryStorage() }).join(URL_OF_FAKE), wanted);
      for (const name of ["join", "preview", "leave", "verify"]) {
        await assert.rejects(CALLS[name](device, URL_OF_FAKE), wanted, name);
      }
      await assert.rejects(device.open(URL_OF_FAKE, jwe), wanted);
      await assert.rejects(TextStorage.open({ ...text, read: async () => text.written }), wanted);
    } finally {
      delete crypto.subtle;
    }
  });

  test("a type of key that does not exist", () => {
    const newDevice = (keyType) => new Device({ storage: new MemoryStorage(), keyType });
    assert.throws(() => newDevice("EC-P384"), kind("usage"));
    newDevice(undefined);
  });
});

describe("what anyone may know", () => {
  test("is asked for without a token", async () => {
    const sent = [];
    const token = () => assert.fail("asked for a token");
    const fetch = async (url, { headers }) => {
      sent.push(headers);
      return new Response("{}");
    };
    const { device } = await joined({ token, fetch });
    for (const name of ["describe", "caCertificates"]) {
      await assert.rejects(CALLS[name](device, URL_OF_FAKE), kind("unusable-answer"));
    }
    assert.equal(sent.length, 2);
    assert.deepEqual(sent.filter((headers) => "Authorization" in headers), []);
  });

  test("has certificates in PEM, or is no domain server's", async () => {
    const { certificate } = await newCa();
    const pem = new X509Certificate(certificate).toString();
    const answered = async (body) => {
      const { device } = await joined({ fetch: async () => new Response(body) });
      return device.caCertificates(URL_OF_FAKE);
    };
    assert.equal(await answered(pem), pem);
    for (const body of ["", "<html>", pem.replace("MII", "MIJ"), pem + pem.replace(/\n.*\n/, "\n")]) {
      await assert.rejects(answered(body), kind("unusable-answer"));
    }
  });
});
