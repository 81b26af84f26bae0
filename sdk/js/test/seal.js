// Encrypts to a domain's public key, as a licence server does: with node's own cryptography.

import {
  X509Certificate,
  constants,
  createCipheriv,
  createHash,
  diffieHellman,
  generateKeyPairSync,
  publicEncrypt,
  randomBytes,
} from "node:crypto";

const encode = (value) => Buffer.from(value).toString("base64url");
const length32 = (number) => Buffer.from([0, 0, number >> 8, number & 255]);
const prefixed = (octets) => Buffer.concat([length32(octets.length), octets]);
const party = (text = "") => prefixed(Buffer.from(text, "base64url"));

/** A compact JWE of `text` to a credential's certificate; `extra` are further header parameters. */
export function seal({ kid, x5c }, text, extra = {}) {
  const { publicKey } = new X509Certificate(Buffer.from(x5c[0], "base64"));
  return sealTo(publicKey, text, { kid, ...extra });
}

/** The same, to a public key. */
export function sealTo(publicKey, text, extra) {
  const header = { enc: "A256GCM", ...extra };
  let [key, encryptedKey] = [randomBytes(32), Buffer.alloc(0)];
  if (publicKey.asymmetricKeyType === "rsa") {
    header.alg = "RSA-OAEP-256";
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    encryptedKey = publicEncrypt({ key: publicKey, padding, oaepHash: "sha256" }, key);
  } else {
    const ephemeral = generateKeyPairSync("ec", { namedCurve: "P-256" });
    header.alg = "ECDH-ES";
    header.epk = ephemeral.publicKey.export({ format: "jwk" });
    const shared = diffieHellman({ privateKey: ephemeral.privateKey, publicKey });
    const algorithm = prefixed(Buffer.from("A256GCM"));
    const parties = [party(extra.apu), party(extra.apv)];
    const info = Buffer.concat([length32(1), shared, algorithm, ...parties, length32(256)]);
    key = createHash("sha256").update(info).digest();
  }
  const protectedHeader = encode(JSON.stringify(header));
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(Buffer.from(protectedHeader));
  const ciphertext = Buffer.concat([cipher.update(text), cipher.final()]);
  const parts = [encryptedKey, iv, ciphertext, cipher.getAuthTag()];
  return [protectedHeader, ...parts.map(encode)].join(".");
}
