// Certificates of domain credentials, such as the protocol has and such as it has not.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { before, test } from "node:test";

import { CertificateFault, Chain, fromPem } from "../dist/certificate.js";
import { Reader, SEQUENCE, UTC_TIME, oid, positive, time } from "../dist/der.js";
import { RSA, caExtensions, der, extension, leafExtensions, mint, newKey } from "./mint.js";

const URI = "https://domains.example/flashaccess/domainserver/living-room/#v2";

let root;
let middle;
let leafKey;

before(async () => {
  root = { subject: "Domain CA", key: await newKey() };
  middle = { subject: "Issuing CA", key: await newKey(RSA) };
  leafKey = await newKey();
});

const caOf = (ca, issuer, constraints, changes) =>
  mint({ ...ca, issuer, extensions: caExtensions(constraints), ...changes });

function leafBy(issuer, changes = {}, replaced = {}) {
  const extensions = Object.values({ ...leafExtensions(URI), ...replaced }).filter(Boolean);
  return mint({ subject: "living-room", key: leafKey, issuer, extensions, ...changes });
}

const texts = (ders) => ders.map((one) => one.toString("base64"));

/** Checks a chain (DER) whole, against these anchors (DER). */
async function check(ders, anchors, ms = Date.now()) {
  const chain = Chain.parse(texts(ders));
  await chain.checkTrust(texts(anchors));
  chain.checkLeaf("living-room", 2);
  chain.checkDates(ms);
}

const refused = (promise, pattern) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof CertificateFault, error.stack);
    assert.match(error.message, pattern);
    return true;
  });

test("a chain of one CA or two, with RSA and ECDSA", async () => {
  const anchor = await caOf(root, root);
  await check([await leafBy(root), anchor], [anchor]);
  await check([await leafBy(root)], [anchor]);
  const between = await caOf(middle, root, { pathLength: "00" });
  const leaf = await leafBy(middle);
  await check([leaf, between, anchor], [anchor]);
  await check([leaf, between], [anchor]);
  await check([leaf, between, anchor], [between]);
  // Node's own implementation agrees that these are good.
  assert.ok(new X509Certificate(leaf).verify(new X509Certificate(between).publicKey));
});

test("a chain that ends elsewhere, or has a gap", async () => {
  const anchor = await caOf(root, root);
  const stranger = { subject: "Domain CA", key: await newKey() };
  const others = await caOf(stranger, stranger);
  const elsewhere = /does not end at the domain CA/;
  await refused(check([await leafBy(stranger), others], [anchor]), elsewhere);
  await refused(check([await leafBy(stranger)], [anchor]), elsewhere);
  await refused(check([await leafBy(root), anchor], []), elsewhere);
  await refused(check([anchor], [anchor]), /subject does not match the protocol/);
  await refused(check([await leafBy(stranger), anchor], [anchor]), /does not hold together/);
  const named = { subject: "Other CA", key: root.key };
  await refused(check([await leafBy(named), anchor], [anchor]), /does not hold together/);
  const between = await caOf(middle, root);
  await refused(check([await leafBy(root), between, anchor], [anchor]), /does not hold together/);
  const leaf = await leafBy(root);
  leaf[leaf.length - 1] ^= 1;
  await refused(check([leaf, anchor], [anchor]), /does not hold together/);
});

test("an issuer that may not issue", async () => {
  const anchor = await caOf(root, root);
  const leaf = await leafBy(middle);
  for (const constraints of [{ isCa: false }, { usage: "03020780" }, { pathLength: "ff" }]) {
    const between = await caOf(middle, root, constraints);
    await refused(check([leaf, between, anchor], [anchor]), /may not issue others/);
  }
  const shallow = await caOf(root, root, { pathLength: "00" });
  const between = await caOf(middle, root);
  await refused(check([leaf, between, shallow], [shallow]), /may not issue others/);
  await refused(check([leaf, between], [shallow]), /does not end at the domain CA/);
  await check([leaf, await caOf(middle, root, { usage: "" }), anchor], [anchor]);
});

test("an issuer's key that is no point on the curve", async () => {
  const anchor = await caOf(root, root);
  const spki = Buffer.from(await crypto.subtle.exportKey("spki", root.key.publicKey));
  anchor[anchor.indexOf(spki) + spki.length - 1] ^= 1;
  const leaf = await leafBy(root);
  // As a part of the chain, and beyond it.
  await refused(check([leaf, anchor], [anchor]), /an issuer's key is unusable/);
  await refused(check([leaf], [anchor]), /an issuer's key is unusable/);
});

test("a leaf that is not as the protocol says", async () => {
  const anchor = await caOf(root, root);
  const alternative = (uri) => leafExtensions(uri).altName;
  for (const [part, changes, replaced] of [
    ["subject", { subject: "Living-room" }],
    ["serial number", { serial: "81" }],
    ["serial number", { serial: "00" }],
    ["version", { version: "" }],
    ["subject alternative name", {}, { altName: undefined }],
    ["subject alternative name", {}, { altName: alternative(URI.replace("#v2", "#v1")) }],
    ["subject alternative name", {}, { altName: alternative(URI.replace("living", "a-living")) }],
    ["basic constraints", {}, { basicConstraints: undefined }],
    ["basic constraints", {}, { basicConstraints: caExtensions({ usage: "" })[0] }],
    ["basic constraints", {}, { basicConstraints: extension("basicConstraints", false, "3000") }],
    ["basic constraints", {}, { basicConstraints: extension("basicConstraints", true, "0500") }],
    ["key usage", {}, { keyUsage: undefined }],
    ["key usage", {}, { keyUsage: extension("keyUsage", true, "0300") }],
    ["key usage", {}, { keyUsage: caExtensions()[1] }],
    ["key usage", {}, { keyUsage: extension("keyUsage", false, "03020388") }],
    ["subject key identifier", {}, { subjectKeyId: undefined }],
    ["authority key identifier", {}, { authorityKeyId: undefined }],
  ]) {
    const leaf = await leafBy(root, changes, replaced);
    const pattern = new RegExp(`^the certificate's ${part} does not match`);
    await refused(check([leaf, anchor], [anchor]), pattern);
  }
});

test("what is not known is refused", async () => {
  const anchor = await caOf(root, root);
  const unknown = extension("unknown", true, "0500");
  const unsupported = /has the extension [0-9.]+, which is not supported/;
  await refused(check([await leafBy(root, {}, { unknown }), anchor], [anchor]), unsupported);
  const ignored = extension("unknown", false, "0500");
  await check([await leafBy(root, {}, { ignored }), anchor], [anchor]);
  const names = extension("nameConstraints", false, "3000");
  await refused(check([await leafBy(root, {}, { names }), anchor], [anchor]), unsupported);
  const sha384 = await leafBy(root, { algorithm: "ecdsaSha384" });
  await refused(check([sha384, anchor], [anchor]), /is signed with 1\.2\.840\.10045\.4\.3\.3/);
  const small = await newKey({ ...RSA, modulusLength: 1024 });
  const weak = await caOf({ ...middle, key: small }, root);
  const below = await leafBy({ ...middle, key: small });
  await refused(check([below, weak, anchor], [anchor]), /may not issue others/);
  const p384 = await newKey({ name: "ECDSA", namedCurve: "P-384" });
  await refused(check([await leafBy(root, { key: p384 }), anchor], [anchor]), /not supported/);
});

test("what is malformed is refused", async () => {
  const anchor = await caOf(root, root);
  const leaf = await leafBy(root);
  const twice = leafExtensions(URI).keyUsage;
  for (const broken of [
    Buffer.alloc(0),
    leaf.subarray(0, -1),
    Buffer.concat([leaf, Buffer.from([0])]),
    der(0x31, leaf.subarray(4)),
    await leafBy(root, { innerAlgorithm: "ecdsaSha384" }),
    await leafBy(root, {}, { twice }),
    await leafBy(root, { serial: "0001" }),
  ]) {
    await refused(check([broken, anchor], [anchor]), /^the certificate chain is malformed/);
  }
  await refused(check([], [anchor]), /empty or too long/);
  await refused(check([leaf, ...Array(10).fill(anchor)], [anchor]), /empty or too long/);
  await assert.rejects(async () => Chain.parse(["not base64"]), /malformed/);
  // However it is cut or changed, it is refused in an orderly way.
  for (let at = 0; at < leaf.length; at += 1) {
    const changed = Buffer.from(leaf);
    changed[at] ^= 0x11;
    await assert.rejects(check([changed, anchor], [anchor]), CertificateFault, `octet ${at}`);
  }
});

test("dates", async () => {
  const anchor = await caOf(root, root);
  const chain = [await leafBy(root), anchor];
  await refused(check(chain, [anchor], Date.now() - 7_200_000), /is not valid before 20/);
  await refused(check(chain, [anchor], Date.now() + 7_200_000), /expired at 20/);
  const [from, to] = [new Date(0), new Date(1000)];
  const past = await leafBy(root, { from, to });
  await refused(check([past, anchor], [anchor]), /never valid together/);
});

test("PEM", async () => {
  const anchor = await caOf(root, root);
  const pem = new X509Certificate(anchor).toString();
  assert.deepEqual(fromPem(`text\r\n${pem}${pem.replace(/\n/g, "\r\n")}`), texts([anchor, anchor]));
  assert.equal(fromPem("nothing"), undefined);
  assert.equal(fromPem(pem + pem.replace("MII", "MIJ")), undefined);
});

test("DER", () => {
  const read = (text) => new Reader(Uint8Array.from(Buffer.from(text, "hex")));
  for (const wrong of ["", "30", "3001", "3080", "308100", "30820001", "3084000000", "1f0100"]) {
    assert.throws(() => read(wrong).next(), `not ${wrong}`);
  }
  assert.throws(() => read("0200").next(SEQUENCE));
  assert.equal(oid(read("06092a864886f70d01010b").next()), "1.2.840.113549.1.1.11");
  assert.equal(oid(read("0603883703").next()), "2.999.3");
  for (const wrong of ["0600", "060180", "06022a80", "06032a8001"]) {
    assert.throws(() => oid(read(wrong).next()), wrong);
  }
  for (const wrong of ["0200", "020100", "020180", "02020001"]) {
    assert.throws(() => positive(read(wrong).next()), wrong);
  }
  const at = (tag, text) => time({ tag, content: Uint8Array.from(Buffer.from(text)) });
  assert.equal(at(UTC_TIME, "491231235959Z"), Date.UTC(2049, 11, 31, 23, 59, 59));
  assert.equal(at(UTC_TIME, "500101000000Z"), Date.UTC(1950, 0, 1));
  assert.equal(at(0x18, "20500228000000Z"), Date.UTC(2050, 1, 28));
  for (const wrong of ["490230000000Z", "4901010000Z", "491301000000Z", "490101000000+0000"]) {
    assert.throws(() => at(UTC_TIME, wrong), wrong);
  }
});
