// A device against the real gateway.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Device, IndexedDbStorage, MemoryStorage, TextStorage, isRefusal } from "../dist/index.js";
import { faultyProxy, nameOf, newIssuer, serve, startServer } from "./server.js";
import { caExtensions, mint, newKey } from "./mint.js";
import { seal } from "./seal.js";

const QUICK = { baseDelayMs: 1, maxDelayMs: 2000 };

let gateway;
let issuer;
/** Another CA's certificate, PEM. */
let otherCa;

before(async () => {
  issuer = await newIssuer();
  const other = { subject: "Domain CA", key: await newKey() };
  const der = await mint({ ...other, issuer: other, extensions: caExtensions() });
  otherCa = new X509Certificate(der).toString();
  gateway = await startServer({ auth_jwks: issuer.jwks });
});

after(() => gateway?.stop());

const newDevice = (options = {}) =>
  new Device({ storage: new MemoryStorage(), retry: QUICK, ...options });

const refusal = (name) => (error) => {
  assert.ok(isRefusal(error, name), `wanted ${name}: ${error.stack}`);
  assert.equal(error.kind, "refused");
  return true;
};

const kind = (wanted) => (error) => {
  assert.equal(error.kind, wanted, error.stack);
  return true;
};

const versions = ({ credentials }) => credentials.map(({ keyVersion }) => keyVersion);

describe("joining", () => {
  for (const keyType of ["EC-P256", "RSA-2048"]) {
    test(`with a key of type ${keyType}, and again`, async () => {
      const url = gateway.newDomain();
      const device = newDevice({ keyType, trustedCa: gateway.caPem });
      const joined = await device.join(url);
      assert.equal(joined.newMember, true);
      assert.deepEqual(joined.warnings, []);
      assert.deepEqual(versions(joined.membership), [1]);
      assert.equal(joined.membership.domain, nameOf(url));
      const { guid } = await device.identity();
      assert.equal(joined.machineGuid, guid);
      const again = await device.join(url);
      assert.equal(again.newMember, false);
      assert.equal(again.membership.registeredAt, joined.membership.registeredAt);
      assert.deepEqual(await device.memberships(), [again.membership]);
      const [{ faults }] = await device.verify(url);
      assert.deepEqual(faults, []);
    });
  }

  test("no private key can be read", async () => {
    const device = newDevice();
    const { membership } = await device.join(gateway.newDomain());
    const { signKey, openKey } = await device.identity();
    for (const key of [signKey, openKey, membership.credentials[0].privateKey.key]) {
      assert.equal(key.extractable, false);
      for (const format of ["jwk", "pkcs8"]) {
        await assert.rejects(crypto.subtle.exportKey(format, key), /not extractable/);
      }
    }
  });

  test("what is encrypted to a domain's key is opened, old and new", async () => {
    const url = gateway.newDomain();
    const device = newDevice();
    const [first, leaver] = [await device.join(url), newDevice()];
    const old = await seal(first.membership.credentials[0], "made before the rollover");
    assert.equal(Buffer.from(await device.open(url, old)).toString(), "made before the rollover");
    await leaver.join(url);
    await leaver.leave(url);
    assert.equal((await device.describe(url)).keyRolloverRequired, true);
    const { membership } = await device.join(url, { update: true });
    assert.deepEqual(versions(membership), [1, 2]);
    const content = await seal(membership.credentials[1], "made after it");
    await assert.rejects(leaver.open(url, content), kind("local"));
    assert.equal(Buffer.from(await device.open(url, content)).toString(), "made after it");
    assert.equal(Buffer.from(await device.open(url, old)).toString(), "made before the rollover");
    const broken = content.replace(/.{4}$/, (tag) => (tag === "AAAA" ? "BBBB" : "AAAA"));
    await assert.rejects(device.open(url, broken), kind("untrusted"));
  });

  test("an update of a domain that was made anew takes all of its versions", async () => {
    const url = gateway.newDomain();
    const device = newDevice();
    const before = await device.join(url);
    await gateway.admin("DELETE", nameOf(url));
    const { membership, newMember } = await device.join(url, { update: true });
    assert.equal(newMember, true, "the first of two registrations joined");
    assert.deepEqual(versions(membership), [1]);
    const [one, another] = [before.membership, membership].map((it) => it.credentials[0].x5c[0]);
    assert.notEqual(one, another);
  });

  for (const update of [false, true]) {
    test(`later versions stay when the server has an older state (update: ${update})`, async () => {
      const faults = [];
      const proxy = await faultyProxy(gateway.origin, faults);
      try {
        const url = gateway.newDomain().replace(gateway.origin, proxy.origin);
        const [device, leaver] = [newDevice(), newDevice()];
        await device.join(url);
        const old = { ...JSON.parse(proxy.answers[0]), newMember: false };
        await leaver.join(url);
        await leaver.leave(url);
        const before = await device.join(url, { update });
        assert.deepEqual(versions(before.membership), [1, 2]);

        const answer = (body) => ({
          status: 200,
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify(body),
        });
        faults.push(...(update ? [answer({ ...old, credentials: [], encryptedKeys: null })] : []));
        faults.push(answer(old));
        const { membership, warnings } = await device.join(url, { update });
        assert.deepEqual(membership.credentials, before.membership.credentials);
        assert.deepEqual(warnings, ["version 2: kept, although the server no longer has it"]);

        // What the server has after that is asked for again.
        const after = await device.join(url, { update: true });
        assert.deepEqual(versions(after.membership), [1, 2]);
        assert.deepEqual(after.warnings, []);
        assert.deepEqual((await device.verify(url))[0].faults, []);
        assert.deepEqual(versions(JSON.parse(proxy.answers[proxy.answers.length - 1])), [2]);
      } finally {
        await proxy.stop();
      }
    });
  }

  test("at the same time, with one storage, is one machine", async () => {
    const device = newDevice();
    const urls = [gateway.newDomain(), gateway.newDomain(), gateway.newDomain()];
    const joined = await Promise.all(urls.map((url) => device.join(url)));
    assert.equal(new Set(joined.map(({ machineGuid }) => machineGuid)).size, 1);
    assert.equal((await device.memberships()).length, 3);
  });
});

describe("trust", () => {
  test("another CA than the one that is trusted is refused, and nothing is stored", async () => {
    const device = newDevice({ trustedCa: otherCa });
    await assert.rejects(device.join(gateway.newDomain()), kind("untrusted"));
    assert.deepEqual(await device.memberships(), []);
  });

  test("the CA of the first join is trusted from then on", async () => {
    const url = gateway.newDomain();
    const storage = new MemoryStorage();
    const { membership } = await newDevice({ storage }).join(url);
    const swapped = { ...membership, caCertificates: [anchorOf(otherCa)] };
    await storage.putMembership(swapped);
    await assert.rejects(newDevice({ storage }).join(url), kind("untrusted"));
    assert.deepEqual(await storage.membership(membership.url), swapped);
    const [{ faults }] = await newDevice({ storage }).verify();
    assert.match(faults[0], /does not end at the domain CA/);
    await newDevice({ storage, trustedCa: gateway.caPem }).join(url);
  });

  test("the server's certificates can be shown", async () => {
    const pem = await newDevice().caCertificates(gateway.newDomain());
    assert.equal(anchorOf(pem), anchorOf(gateway.caPem));
    assert.throws(() => newDevice({ trustedCa: "no PEM" }), kind("usage"));
  });

  test("the private key of another domain is a fault", async () => {
    const storage = new MemoryStorage();
    const device = newDevice({ storage });
    const [one, two] = [await device.join(gateway.newDomain()), await device.join(gateway.newDomain())];
    one.membership.credentials[0].privateKey = two.membership.credentials[0].privateKey;
    await storage.putMembership(one.membership);
    const verified = await device.verify();
    assert.match(verified[0].faults[0], /private key does not fit/);
    assert.deepEqual(verified[1].faults, []);
  });

  test("a clock that is wrong warns, and is a fault later", async () => {
    const storage = new MemoryStorage();
    await newDevice({ storage }).join(gateway.newDomain());
    const now = () => Date.now() + 20 * 365 * 86_400_000;
    const [{ faults }] = await newDevice({ storage, now }).verify();
    assert.match(faults[0], /^version 1: a certificate expired at/);
  });
});

describe("leaving", () => {
  /** A device that does this before each request to leave that is no preview. */
  const leaver = (storage, before, options = {}) =>
    newDevice({
      storage,
      fetch: async (input, init) => {
        const { payload } = JSON.parse(init.body);
        if (JSON.parse(Buffer.from(payload, "base64url")).preview === false) {
          await before();
        }
        return fetch(input, init);
      },
      ...options,
    });

  const remove = async (url, device) => {
    const { guid } = await device.identity();
    await gateway.admin("DELETE", `${nameOf(url)}/members/${guid}`);
  };

  test("asks first, and then is final", async () => {
    const url = gateway.newDomain();
    const device = newDevice();
    await assert.rejects(device.leave(url), kind("local"));
    await device.join(url);
    await device.preview(url);
    assert.equal((await device.join(url)).newMember, false);
    assert.equal(await device.leave(url), "left");
    assert.equal(await device.membership(url), undefined);
    await assert.rejects(device.preview(url), refusal("DEREG_DENIED"));
    const { newMember, membership } = await device.join(url);
    assert.equal(newMember, true);
    assert.deepEqual(versions(membership), [1, 2]);
  });

  test("is finished later if the second answer does not come", async () => {
    const faults = [];
    const proxy = await faultyProxy(gateway.origin, faults);
    try {
      const url = gateway.newDomain().replace(gateway.origin, proxy.origin);
      const device = newDevice({ retry: { ...QUICK, attempts: 1 } });
      await device.join(url);
      faults.push({ status: 503 });
      await assert.rejects(device.leave(url), kind("unreachable"));
      assert.equal((await device.membership(url)).credentials.length, 1, "nothing has changed");
      // The preview comes back, the real answer is lost.
      const retry = { ...QUICK, attempts: 1 };
      const lossy = leaver(device.storage, () => faults.push("lost"), { retry });
      await assert.rejects(lossy.leave(url), (error) => {
        assert.equal(error.cause.kind, "unreachable");
        return kind("leave-unfinished")(error);
      });
      const { standing, credentials } = await device.membership(url);
      assert.deepEqual([standing, credentials], ["leaving", []]);
      assert.equal(await device.leave(url), "was-no-member");
      assert.equal(await device.membership(url), undefined);
    } finally {
      await proxy.stop();
    }
  });

  test("is refused to who was removed before, and the keys stay until they are forgotten", async () => {
    const url = gateway.newDomain();
    const device = newDevice();
    await device.join(url);
    await remove(url, device);
    await assert.rejects(device.leave(url), refusal("DEREG_DENIED"));
    const { standing, credentials } = await device.membership(url);
    assert.deepEqual([standing, credentials.length], ["member", 1]);
    await device.forget(url);
    assert.deepEqual(await device.memberships(), []);
  });

  test("is over for who is removed in between", async () => {
    const url = gateway.newDomain();
    const device = leaver(new MemoryStorage(), () => remove(url, device));
    await device.join(url);
    assert.equal(await device.leave(url), "was-no-member");
    assert.deepEqual(await device.memberships(), []);
  });

  test("is over when it is sent again by itself because the answer was lost", async () => {
    const faults = [];
    const proxy = await faultyProxy(gateway.origin, faults);
    try {
      const url = gateway.newDomain().replace(gateway.origin, proxy.origin);
      let isFirst = true;
      const device = leaver(new MemoryStorage(), () => {
        faults.push(...(isFirst ? ["lost"] : []));
        isFirst = false;
      });
      await device.join(url);
      assert.equal(await device.leave(url), "was-no-member");
      assert.deepEqual(await device.memberships(), []);
    } finally {
      await proxy.stop();
    }
  });

  test("is unfinished if its signal is aborted after the server agreed", async () => {
    const url = gateway.newDomain();
    const controller = new AbortController();
    const reason = new Error("enough");
    const device = leaver(new MemoryStorage(), () => controller.abort(reason));
    await device.join(url);
    await assert.rejects(device.leave(url, { signal: controller.signal }), (error) => {
      assert.equal(error.cause, reason);
      return kind("leave-unfinished")(error);
    });
    assert.equal((await device.membership(url)).standing, "leaving");
    await newDevice({ storage: device.storage }).leave(url);
    assert.deepEqual(await device.memberships(), []);
  });

  test("without the server", async () => {
    const url = gateway.newDomain();
    const device = newDevice();
    await device.join(url);
    await device.forget(url);
    assert.deepEqual(await device.memberships(), []);
    assert.equal((await device.join(url)).newMember, false);
  });
});

describe("refusals", () => {
  test("a domain that requires a token", async () => {
    const url = gateway.newDomain();
    await gateway.admin("PUT", nameOf(url), { authenticationRequired: true, authNamespace: "acme" });
    const device = newDevice();
    await assert.rejects(device.join(url), refusal("DOM_AUTHENTICATION_REQUIRED"));
    assert.equal((await device.describe(url)).authNamespace, "acme");
    const wrong = await issuer.token({ ns: "other" });
    await assert.rejects(device.join(url, { token: wrong }), refusal("DOM_AUTHENTICATION_REQUIRED"));
    const given = newDevice({ token: () => issuer.token({ ns: "acme" }) });
    await given.join(url);
    await given.preview(url);
    await given.leave(url);
    const token = await issuer.token({ ns: "acme" });
    assert.equal((await device.join(url, { token })).newMember, true);
    await assert.rejects(device.leave(url), refusal("DOM_AUTHENTICATION_REQUIRED"));
  });

  test("a token never goes to where others could read it, and is in no error", async () => {
    const sent = [];
    const device = newDevice({ token: "secret", fetch: async (...all) => sent.push(all) });
    const exposed = device.join("http://192.0.2.1/flashaccess/domainserver/a/");
    await assert.rejects(exposed, kind("usage"));
    const invalid = device.join(gateway.newDomain(), { token: "swordfish\nX: y" });
    await assert.rejects(invalid, (error) => {
      assert.doesNotMatch(`${error.stack} ${JSON.stringify(error)}`, /swordfish/);
      return kind("usage")(error);
    });
    assert.deepEqual(sent, []);
  });

  test("a domain that is full, and one that blocks", async () => {
    const url = gateway.newDomain();
    const name = nameOf(url);
    await gateway.admin("PUT", name, { maxMembership: 1 });
    const [one, two] = [newDevice(), newDevice()];
    await one.join(url);
    await assert.rejects(two.join(url), (error) => {
      assert.deepEqual([error.status, error.problem.code], [409, 502]);
      assert.match(error.problem.instance, /^urn:uuid:/);
      return refusal("DOM_LIMIT_REACHED")(error);
    });
    assert.equal((await one.join(url)).newMember, false);
    const { guid } = await one.identity();
    await gateway.admin("PUT", `${name}/blocked/${guid}`);
    await assert.rejects(one.join(url), refusal("DOM_REG_DENIED"));
    assert.equal((await two.join(url)).newMember, true);
  });

  test("what is wrong with the machine, its clock or the URL", async () => {
    const url = gateway.newDomain();
    const one = newDevice();
    await one.join(url);
    const { guid } = await one.identity();
    const storage = new MemoryStorage();
    await storage.addIdentity({ ...(await newDevice().identity()), guid });
    const two = newDevice({ storage });
    await assert.rejects(two.join(url), refusal("MACHINE_KEY_MISMATCH"));
    await assert.rejects(two.preview(url), refusal("DEREG_DENIED"));
    await assert.rejects(one.describe(gateway.newDomain()), refusal("UNKNOWN_DOMAIN"));
    await assert.rejects(one.join(`${gateway.origin}/elsewhere/a/`), refusal("NOT_FOUND"));
    for (const wrong of [
      "living-room",
      "ftp://example.org/a",
      "http://example.org/",
      "https://user@example.org/flashaccess/domainserver/a/",
      `${url}?x`,
      `${url}#x`,
      `${gateway.origin}/flashaccess/domainserver/ca.pem`,
      `${gateway.origin}/flashaccess/domainserver/a%20b/`,
    ]) {
      await assert.rejects(one.join(wrong), kind("usage"), wrong);
    }
    assert.equal((await one.join(url.replace("domain-", "%64omain-"))).newMember, false);
    assert.equal((await one.memberships()).length, 1);
  });

  test("a clock that is wrong is put right by the server's", async () => {
    const clock = () => Date.now() - 3_600_000;
    let offset = 0;
    const device = newDevice({ now: () => clock() + offset });
    const url = gateway.newDomain();
    await assert.rejects(device.join(url), (error) => {
      offset = error.serverTime - clock();
      return refusal("REQUEST_EXPIRED")(error);
    });
    assert.equal((await device.join(url)).newMember, true);
  });

  test("a machine's key never changes", async () => {
    const storage = new MemoryStorage();
    await newDevice({ storage }).identity();
    const device = newDevice({ storage, keyType: "RSA-2048" });
    await assert.rejects(device.join(gateway.newDomain()), kind("usage"));
  });
});

describe("retries", () => {
  /** Joins through a proxy with these faults; the requests that it saw, and how long they took. */
  async function joinWith(faults, options = {}) {
    const proxy = await faultyProxy(gateway.origin, faults);
    try {
      const url = gateway.newDomain().replace(gateway.origin, proxy.origin);
      const began = performance.now();
      const result = await newDevice(options).join(url).catch((error) => error);
      return { result, requests: proxy.requests, ms: performance.now() - began };
    } finally {
      await proxy.stop();
    }
  }
  const problem = (error, status, headers) => ({
    status,
    headers,
    body: JSON.stringify({ error, status, type: "", title: "", detail: "" }),
  });

  test("whatever passes is retried", async () => {
    const faults = ["reset", "lost", { status: 502 }, problem("STORE_UNAVAILABLE", 503, {})];
    const { result, requests } = await joinWith(faults);
    // The second request had joined already.
    assert.equal(result.newMember, false);
    assert.equal(requests, 5);
  });

  test("not before the server wants it", async () => {
    const later = { "Retry-After": "1" };
    for (const fault of [{ status: 503, headers: later }, problem("RATE_LIMITED", 429, later)]) {
      const { result, requests, ms } = await joinWith([fault]);
      assert.equal(result.newMember, true);
      assert.equal(requests, 2);
      assert.ok(ms >= 990, `${ms}`);
    }
  });

  test("not at all where that takes too long, or where nothing would change", async () => {
    for (const [fault, wanted] of [
      [problem("RATE_LIMITED", 429, { "Retry-After": "3600" }), "refused"],
      [{ status: 503, headers: { "Retry-After": "3600" } }, "unreachable"],
      [problem("INTERNAL", 500, {}), "refused"],
      [{ status: 404, body: "<html>" }, "unusable-answer"],
      [{ status: 302, headers: { Location: "/x" } }, "unusable-answer"],
      [{ status: 200, body: "{}" }, "unusable-answer"],
    ]) {
      const { result, requests } = await joinWith([fault]);
      assert.equal(result.kind, wanted, result.stack);
      assert.equal(requests, 1);
      assert.equal(result.retryAfter, fault.headers?.["Retry-After"] && 3600);
    }
  });

  test("not for ever", async () => {
    const faults = Array(9).fill({ status: 503 });
    const { result, requests } = await joinWith(faults, { retry: { ...QUICK, attempts: 3 } });
    assert.equal(result.kind, "unreachable");
    assert.equal(requests, 3);
  });

  test("an attempt ends in time, and a call when its signal says so", async () => {
    const silent = await serve(() => {});
    try {
      const url = `${silent.origin}/flashaccess/domainserver/a/`;
      const retry = { ...QUICK, attempts: 2, timeoutMs: 50 };
      await assert.rejects(newDevice({ retry }).join(url), kind("unreachable"));
      const controller = new AbortController();
      const call = newDevice().join(url, { signal: controller.signal });
      controller.abort(new Error("enough"));
      await assert.rejects(call, /enough/);
    } finally {
      await silent.stop();
    }
  });
});

describe("a text", () => {
  test("keeps the machine and its domains", async () => {
    const directory = await mkdtemp(join(tmpdir(), "anonymous-domains-"));
    const file = join(directory, "machine.json");
    const kept = {
      read: () => readFile(file, "utf8").catch(() => undefined),
      async write(text) {
        await writeFile(`${file}.new`, text, { mode: 0o600 });
        await rename(`${file}.new`, file);
      },
    };
    try {
      for (const keyType of ["EC-P256", "RSA-2048"]) {
        const open = async () => newDevice({ storage: await TextStorage.open(kept), keyType });
        const url = gateway.newDomain();
        const joined = await (await open()).join(url);
        const device = await open();
        assert.deepEqual((await device.verify())[0].faults, []);
        assert.equal((await device.identity()).guid, joined.machineGuid);
        assert.equal((await device.join(url)).newMember, false);
        const jwe = await seal(joined.membership.credentials[0], "content");
        assert.equal(Buffer.from(await (await open()).open(url, jwe)).toString(), "content");
        assert.equal(await (await open()).leave(url), "left");
        assert.deepEqual(await (await open()).memberships(), []);
        await rm(file);
      }
      await writeFile(file, "{}");
      await assert.rejects(TextStorage.open(kept), kind("local"));
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test("that cannot be written changes nothing", async () => {
    let fails = false;
    let text;
    const write = async (written) => {
      if (fails) {
        throw new Error("the disk is full");
      }
      text = written;
    };
    const storage = await TextStorage.open({ read: async () => text, write });
    const device = newDevice({ storage });
    const url = gateway.newDomain();
    await device.join(url);
    fails = true;
    await assert.rejects(device.leave(url), kind("local"));
    assert.equal((await device.membership(url)).standing, "member");
    fails = false;
    assert.equal(await device.leave(url), "left");
  });

  test("a storage that the platform has not is a local error", async () => {
    const device = newDevice({ storage: new IndexedDbStorage() });
    await assert.rejects(device.identity(), kind("local"));
  });
});

const anchorOf = (pem) => pem.split("-----")[2].replace(/\s/g, "");
