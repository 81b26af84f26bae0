// A domain server in place of `fetch`, whose credentials the test makes: also such as no server gives out.

import { createPublicKey } from "node:crypto";

import { thumbprint } from "../dist/jose.js";
import { caExtensions, leafExtensions, mint, newKey } from "./mint.js";
import { sealTo } from "./seal.js";

const DOMAIN = "living-room";
export const URL_OF_FAKE = `https://domains.example/flashaccess/domainserver/${DOMAIN}/`;

/** A CA: what signs, and its certificate in DER. */
export async function newCa(subject = "Domain CA") {
  const ca = { subject, key: await newKey() };
  return { ...ca, certificate: await mint({ ...ca, issuer: ca, extensions: caExtensions() }) };
}

/** A version of the domain's key that a CA signed, and its private JWK; with `changes` to the credential. */
export async function newVersion(keyVersion, ca, changes = {}) {
  const key = await newKey();
  const second = 1000 * Math.floor(Date.now() / 1000);
  const [from, to] = [new Date(second - 3_600_000), new Date(second + 3_600_000)];
  const extensions = Object.values(leafExtensions(`${URL_OF_FAKE}#v${keyVersion}`));
  const leaf = await mint({ subject: DOMAIN, key, issuer: ca, extensions, from, to });
  const kid = `${DOMAIN}/${keyVersion}`;
  return {
    jwk: { ...(await crypto.subtle.exportKey("jwk", key.privateKey)), kid },
    credential: {
      keyVersion,
      kid,
      x5c: [leaf, ca.certificate].map((der) => der.toString("base64")),
      notBefore: from.toISOString(),
      notAfter: to.toISOString(),
      ...changes,
    },
  };
}

const decoded = (part) => JSON.parse(Buffer.from(part, "base64url"));

/** A `fetch` that answers registrations with these versions. */
export const serverOf = (versions) => async (_url, { body }) => {
  const request = JSON.parse(body);
  const { jwk } = decoded(request.protected);
  const keys = versions.map((version) => version.jwk);
  const header = { cty: "jwk-set+json", kid: await thumbprint(jwk) };
  const machineKey = createPublicKey({ key: jwk, format: "jwk" });
  return Response.json({
    domain: DOMAIN,
    machineGuid: decoded(request.payload).machineGuid,
    newMember: true,
    registeredAt: "2026-11-22T21:37:34Z",
    keyVersion: versions[versions.length - 1].credential.keyVersion,
    credentials: versions.map(({ credential }) => credential),
    encryptedKeys: sealTo(machineKey, JSON.stringify({ keys }), header),
  });
};
