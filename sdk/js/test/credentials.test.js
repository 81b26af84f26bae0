// What a device makes of credentials, from a server that is not the real one.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";

import { Device, MemoryStorage } from "../dist/index.js";
import { URL_OF_FAKE, newCa, newVersion, serverOf } from "./fake.js";

const base64 = ({ certificate }) => certificate.toString("base64");
const pem = ({ certificate }) => new X509Certificate(certificate).toString();

/** What joining gives where the server has these versions. */
const joinWith = (versions, options = {}) =>
  new Device({ storage: new MemoryStorage(), fetch: serverOf(versions), ...options }).join(URL_OF_FAKE);

const untrusted = (pattern) => (error) => {
  assert.equal(error.kind, "untrusted", error.stack);
  assert.match(error.message, pattern);
  return true;
};

test("between two CAs a device that has met none trusts both, and no third", async () => {
  const [one, two, three] = [await newCa(), await newCa("Domain CA 2"), await newCa("Domain CA 3")];
  const versions = [await newVersion(1, one), await newVersion(2, two), await newVersion(3, one)];
  const storage = new MemoryStorage();
  const { membership } = await joinWith(versions, { storage });
  assert.deepEqual(membership.caCertificates, [base64(one), base64(two)]);
  const device = new Device({ storage, fetch: serverOf([...versions, await newVersion(4, three)]) });
  assert.deepEqual((await device.verify())[0].faults, []);
  await assert.rejects(device.join(URL_OF_FAKE), untrusted(/version 4: .* does not end at the domain CA/));

  // What helps: to be told of it, or to begin anew.
  const changed = [await newVersion(1, three)];
  await assert.rejects(joinWith(changed, { storage }), untrusted(/does not end at the domain CA/));
  const told = await joinWith(changed, { storage, trustedCa: pem(one) + pem(three) });
  assert.deepEqual(told.membership.caCertificates, [base64(one), base64(three)]);
  await joinWith(changed, { storage });
  await storage.putMembership(membership);
  await new Device({ storage }).forget(URL_OF_FAKE);
  const anew = await joinWith(changed, { storage });
  assert.deepEqual(anew.membership.caCertificates, [base64(three)]);
});

test("dates of a credential that are not its certificate's", async () => {
  const ca = await newCa();
  const good = await newVersion(1, ca);
  await joinWith([good]);
  for (const name of ["notBefore", "notAfter"]) {
    for (const ms of [-1000, 1000]) {
      const date = new Date(Date.parse(good.credential[name]) + ms).toISOString();
      const wrong = { ...good, credential: { ...good.credential, [name]: date } };
      await assert.rejects(joinWith([wrong]), untrusted(/version 1: its dates are not the certificate's/));
    }
  }
  // They count to the second, however they are written.
  for (const end of ["+00:00", ".999Z"]) {
    const notAfter = good.credential.notAfter.replace(".000Z", end);
    await joinWith([{ ...good, credential: { ...good.credential, notAfter } }]);
  }
});

test("a CA's key that is no point on the curve", async () => {
  const ca = await newCa();
  const spki = Buffer.from(await crypto.subtle.exportKey("spki", ca.key.publicKey));
  ca.certificate[ca.certificate.indexOf(spki) + spki.length - 1] ^= 1;
  const storage = new MemoryStorage();
  const version = await newVersion(1, ca);
  await assert.rejects(joinWith([version], { storage }), untrusted(/an issuer's key is unusable/));
  assert.deepEqual(await storage.memberships(), []);

  // Where it is held all the same, it is a fault.
  const device = new Device({ storage, fetch: serverOf([await newVersion(1, await newCa())]) });
  const { membership } = await device.join(URL_OF_FAKE);
  const { x5c, notBefore, notAfter } = version.credential;
  const [{ privateKey, kid, keyVersion }] = membership.credentials;
  await storage.putMembership({
    ...membership,
    caCertificates: [base64(ca)],
    credentials: [{ kid, keyVersion, x5c, notBefore, notAfter, privateKey }],
  });
  assert.deepEqual((await device.verify())[0].faults, ["version 1: an issuer's key is unusable"]);
});

test("what a caller does to a result changes nothing of what is kept", async () => {
  const ca = await newCa();
  const storage = new MemoryStorage();
  const options = { storage, trustedCa: pem(ca), fetch: serverOf([await newVersion(1, ca)]) };
  const device = new Device(options);
  const { membership } = await device.join(URL_OF_FAKE);
  membership.caCertificates.length = 0;
  membership.credentials.length = 0;
  const [{ faults, membership: held }] = await device.verify();
  assert.deepEqual(faults, []);
  assert.deepEqual(held.caCertificates, [base64(ca)]);
});
