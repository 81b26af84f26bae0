/** The machine's key, and private keys of domains: WebCrypto's, not extractable where they need not be. */

import { type Bytes, equal } from "./bytes.js";
import { ALGORITHMS, type PublicJwk, publicJwk, thumbprint } from "./jose.js";
import { subtle } from "./webcrypto.js";
import type { PublicKey } from "./x509.js";

/** The types that a machine's key can have. */
export const KEY_TYPES = ["EC-P256", "RSA-2048", "RSA-3072", "RSA-4096"] as const;

/** The type of a machine's key. */
export type KeyType = (typeof KEY_TYPES)[number];

/** What a machine is, for as long as its storage lasts: a random GUID and a key pair. */
export interface Identity {
  /** The random GUID, in lower case. */
  guid: string;
  keyType: KeyType;
  /** The public half of the key. */
  publicJwk: PublicJwk;
  /** The key's RFC 7638 SHA-256 thumbprint: what servers know the machine by. */
  thumbprint: string;
  /** The private key, for signing requests. */
  signKey: CryptoKey;
  /** The same private key, for opening what is encrypted to the machine. */
  openKey: CryptoKey;
}

/** A private key of a domain, for opening what is encrypted to it. */
export interface DomainKey {
  kty: "EC" | "RSA";
  /** `deriveBits` (ECDH) or `decrypt` (RSA-OAEP with SHA-256). */
  key: CryptoKey;
}

/**
 * Makes a new identity.
 *
 * The protocol has one key sign and decrypt, but a `CryptoKey` is for one algorithm. So WebCrypto makes
 * the key extractable, it is imported once for each use, not extractable unless `extractable` says so,
 * and its octets are overwritten. Nothing keeps the first one.
 */
export async function createIdentity(keyType: KeyType, extractable = false): Promise<Identity> {
  const webcrypto = subtle();
  const kty = keyType === "EC-P256" ? "EC" : "RSA";
  const { sign } = ALGORITHMS[kty];
  const parameters =
    kty === "EC"
      ? sign
      : {
          ...sign,
          modulusLength: Number(keyType.slice(4)),
          publicExponent: new Uint8Array([1, 0, 1]),
        };
  const pair = (await webcrypto.generateKey(parameters, true, ["sign", "verify"])) as CryptoKeyPair;
  const jwk = publicJwk(await webcrypto.exportKey("jwk", pair.publicKey))!;
  const octets = new Uint8Array(await webcrypto.exportKey("pkcs8", pair.privateKey));
  const keys = await machineKeys("pkcs8", octets, kty, extractable);
  octets.fill(0);
  return { guid: randomGuid(), keyType, publicJwk: jwk, thumbprint: await thumbprint(jwk), ...keys };
}

/** The private key of an identity as a JWK. Throws unless it is extractable. */
export async function exportPrivateJwk(key: CryptoKey): Promise<JsonWebKey> {
  return subtle().exportKey("jwk", key);
}

/** The identity with this GUID and this private JWK, extractable. */
export async function importIdentity(
  guid: string,
  keyType: KeyType,
  jwk: JsonWebKey,
): Promise<Identity> {
  const { key_ops: _, use: __, alg: ___, ...plain } = jwk;
  const key = publicJwk(plain);
  if (key === undefined) {
    throw new TypeError("the machine's key is of a kind that is not supported");
  }
  const keys = await machineKeys("jwk", plain, key.kty, true);
  return { guid, keyType, publicJwk: key, thumbprint: await thumbprint(key), ...keys };
}

async function machineKeys(
  format: "pkcs8" | "jwk",
  data: Bytes | JsonWebKey,
  kty: "EC" | "RSA",
  extractable: boolean,
): Promise<{ signKey: CryptoKey; openKey: CryptoKey }> {
  const { sign, open, openUsages } = ALGORITHMS[kty];
  const of = (parameters: typeof sign | typeof open, usages: readonly KeyUsage[]) =>
    format === "jwk"
      ? subtle().importKey(format, data as JsonWebKey, parameters, extractable, [...usages])
      : subtle().importKey(format, data as Bytes, parameters, extractable, [...usages]);
  return { signKey: await of(sign, ["sign"]), openKey: await of(open, openUsages) };
}

/** Imports a private JWK of a domain's. Throws what WebCrypto throws for one that is none. */
export async function importDomainKey(
  jwk: JsonWebKey,
  extractable: boolean,
): Promise<DomainKey | undefined> {
  const { kty } = publicJwk(jwk) ?? {};
  if (kty === undefined || typeof jwk.d !== "string") {
    return undefined;
  }
  const { open, openUsages } = ALGORITHMS[kty];
  // Without `kid`, `x5c`, `use` and what else is not the key's.
  const { crv, x, y, d, n, e, p, q, dp, dq, qi } = jwk;
  const members = kty === "EC" ? { kty, crv, x, y, d } : { kty, n, e, d, p, q, dp, dq, qi };
  const key = await subtle().importKey("jwk", members as JsonWebKey, open, extractable, [
    ...openUsages,
  ]);
  return { kty, key };
}

/** Whether a private key is that of a public one: what is sealed to the one, the other opens. */
export async function fits({ kty, key }: DomainKey, { kind, spki }: PublicKey): Promise<boolean> {
  if (kty !== kind) {
    return false;
  }
  const webcrypto = subtle();
  const { open } = ALGORITHMS[kty];
  try {
    if (kty === "RSA") {
      const sealer = await webcrypto.importKey("spki", spki, open, false, ["encrypt"]);
      const secret = crypto.getRandomValues(new Uint8Array(32));
      const sealed = await webcrypto.encrypt("RSA-OAEP", sealer, secret);
      return equal(new Uint8Array(await webcrypto.decrypt("RSA-OAEP", key, sealed)), secret);
    }
    const other = await webcrypto.importKey("spki", spki, open, false, []);
    const pair = (await webcrypto.generateKey(open, false, ["deriveBits"])) as CryptoKeyPair;
    const agree = async (mine: CryptoKey, theirs: CryptoKey) =>
      new Uint8Array(await webcrypto.deriveBits({ name: "ECDH", public: theirs }, mine, 256));
    return equal(await agree(key, pair.publicKey), await agree(pair.privateKey, other));
  } catch {
    return false;
  }
}

/** A random UUID (RFC 9562 version 4); `crypto.randomUUID` is not in televisions. */
function randomGuid(): string {
  const octets = crypto.getRandomValues(new Uint8Array(16));
  octets[6] = (octets[6]! & 0x0f) | 0x40;
  octets[8] = (octets[8]! & 0x3f) | 0x80;
  const digits = Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
