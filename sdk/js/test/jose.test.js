// JOSE against node's own cryptography and the RFCs.

import assert from "node:assert/strict";
import { before, test } from "node:test";

import { base64url, fromBase64, fromBase64url } from "../dist/bytes.js";
import { JweFault, open, thumbprint } from "../dist/jose.js";
import { importDomainKey } from "../dist/keys.js";
import { RSA, caExtensions, mint, newKey } from "./mint.js";
import { seal } from "./seal.js";

/** Credentials with their private keys, by kind. */
const held = {};

before(async () => {
  for (const [kty, algorithm] of [["EC"], ["RSA", RSA]]) {
    const key = await newKey(algorithm);
    const issuer = { subject: "a", key };
    const certificate = await mint({ ...issuer, issuer, extensions: caExtensions() });
    const jwk = await crypto.subtle.exportKey("jwk", key.privateKey);
    const { key: privateKey } = await importDomainKey(jwk, false);
    held[kty] = { kid: "a/1", x5c: [certificate.toString("base64")], privateKey };
  }
});

const text = async (jwe, kty) => Buffer.from(await open(jwe, kty, held[kty].privateKey)).toString();

test("what node seals is opened, whoever the parties are", async () => {
  for (const kty of ["EC", "RSA"]) {
    for (const content of ["", "content", "x".repeat(100_000)]) {
      assert.equal(await text(seal(held[kty], content), kty), content);
    }
  }
  const parties = { apu: "QWxpY2U", apv: "Qm9i" };
  assert.equal(await text(seal(held.EC, "content", parties), "EC"), "content");
});

test("nothing else is opened", async () => {
  for (const kty of ["EC", "RSA"]) {
    const jwe = seal(held[kty], "content");
    const [header, key, iv, ciphertext, tag] = jwe.split(".");
    const changed = (part) => (part.startsWith("A") ? "B" : "A") + part.slice(1);
    const other = kty === "EC" ? "RSA" : "EC";
    for (const wrong of [
      "",
      "....",
      [header, key, iv, ciphertext].join("."),
      `${jwe}.`,
      `${jwe}=`,
      [changed(header), key, iv, ciphertext, tag].join("."),
      [header, changed(key || "AAAA"), iv, ciphertext, tag].join("."),
      [header, key, changed(iv), ciphertext, tag].join("."),
      [header, key, iv, changed(ciphertext), tag].join("."),
      [header, key, iv, ciphertext, changed(tag)].join("."),
      [header, key, iv, ciphertext, tag.slice(0, 16)].join("."),
      seal(held[kty], "content", { crit: ["exp"] }),
      seal(held[kty], "content", { zip: "DEF" }),
      seal(held[kty], "content", { enc: "A128GCM" }),
      seal(held[other], "content"),
    ]) {
      await assert.rejects(open(wrong, kty, held[kty].privateKey), JweFault, wrong);
    }
  }
  const [header, ...rest] = seal(held.EC, "content").split(".");
  const { epk, ...others } = JSON.parse(Buffer.from(header, "base64url"));
  for (const changed of [{}, { epk: { ...epk, y: epk.x } }, { epk: { ...epk, crv: "P-384" } }]) {
    const protectedHeader = base64url(Buffer.from(JSON.stringify({ ...others, ...changed })));
    const wrong = [protectedHeader, ...rest].join(".");
    await assert.rejects(open(wrong, "EC", held.EC.privateKey), JweFault);
  }
});

test("RFC 7638's thumbprint", async () => {
  const n =
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJEC" +
    "PebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Qvz" +
    "qY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZ" +
    "u0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
  const expected = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
  assert.equal(await thumbprint({ kty: "RSA", n, e: "AQAB" }), expected);
});

test("base64 is read strictly", () => {
  assert.deepEqual([...fromBase64url("-_8")], [0xfb, 0xff]);
  assert.deepEqual([...fromBase64("+/8=")], [0xfb, 0xff]);
  for (const wrong of ["-_9", "-_8=", "+/8", "a", "a b", "a\n"]) {
    assert.equal(fromBase64url(wrong), undefined, wrong);
  }
  for (const wrong of ["+/9=", "+/8", "-_8=", "=", "AA==AA==", " +/8="]) {
    assert.equal(fromBase64(wrong), undefined, wrong);
  }
});
