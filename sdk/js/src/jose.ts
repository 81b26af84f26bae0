/** JOSE, as far as the protocol needs it, over WebCrypto. */

import { type Bytes, base64url, concat, fromBase64url, utf8, utf8Text } from "./bytes.js";
import { subtle } from "./webcrypto.js";

/** A public key as a JWK: RSA or EC P-256. */
export type PublicJwk =
  | { kty: "EC"; crv: "P-256"; x: string; y: string }
  | { kty: "RSA"; n: string; e: string };

/** A JWE could not be opened. The text is the end of a sentence. */
export class JweFault extends Error {}

/** Copies the public members of a JWK of a supported kind; `undefined` for another. */
export function publicJwk(jwk: JsonWebKey): PublicJwk | undefined {
  const { kty, crv, x, y, n, e } = jwk;
  if (kty === "EC" && crv === "P-256" && typeof x === "string" && typeof y === "string") {
    return { kty, crv, x, y };
  }
  if (kty === "RSA" && typeof n === "string" && typeof e === "string") {
    return { kty, n, e };
  }
  return undefined;
}

/** The SHA-256 thumbprint of a key (RFC 7638). */
export async function thumbprint(jwk: PublicJwk): Promise<string> {
  const required =
    jwk.kty === "EC"
      ? { crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }
      : { e: jwk.e, kty: jwk.kty, n: jwk.n };
  const digest = await subtle().digest("SHA-256", utf8(JSON.stringify(required)));
  return base64url(new Uint8Array(digest));
}

/** How keys of a kind sign, open, and are imported. */
export const ALGORITHMS = {
  EC: {
    jws: "ES256",
    jwe: "ECDH-ES",
    sign: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
    open: { name: "ECDH", namedCurve: "P-256" },
    openUsages: ["deriveBits"],
  },
  RSA: {
    jws: "RS256",
    jwe: "RSA-OAEP-256",
    sign: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
    open: { name: "RSA-OAEP", hash: "SHA-256" },
    openUsages: ["decrypt"],
  },
} as const;

/** A flattened JWS in JSON (RFC 7515 section 7.2.2) under the algorithm that the key is for. */
export async function sign(
  header: Record<string, unknown>,
  payload: Record<string, unknown>,
  kty: "EC" | "RSA",
  key: CryptoKey,
): Promise<string> {
  const { jws, sign: parameters } = ALGORITHMS[kty];
  const encode = (value: unknown) => base64url(utf8(JSON.stringify(value)));
  const parts = { protected: encode({ ...header, alg: jws }), payload: encode(payload) };
  const message = utf8(`${parts.protected}.${parts.payload}`);
  const signature = await subtle().sign(parameters, key, message);
  return JSON.stringify({ ...parts, signature: base64url(new Uint8Array(signature)) });
}

/** The protected header of a compact JWE. Throws a `JweFault`. */
export function jweHeader(jwe: string): Record<string, unknown> {
  const first = fromBase64url(jwe.split(".")[0] ?? "");
  try {
    const header: unknown = JSON.parse(utf8Text(first ?? new Uint8Array()));
    if (typeof header === "object" && header !== null && !Array.isArray(header)) {
      return header as Record<string, unknown>;
    }
  } catch {
    // Said below.
  }
  throw new JweFault("the header of the JWE is no JSON object");
}

/**
 * Opens a compact JWE (RFC 7516) with `A256GCM`, and `ECDH-ES` or `RSA-OAEP-256`, as the key is for.
 * Throws a `JweFault`.
 */
export async function open(jwe: string, kty: "EC" | "RSA", key: CryptoKey): Promise<Bytes> {
  const header = jweHeader(jwe);
  const { jwe: algorithm } = ALGORITHMS[kty];
  if (header.alg !== algorithm || header.enc !== "A256GCM" || "crit" in header || "zip" in header) {
    throw new JweFault(`the JWE is not one with ${algorithm} and A256GCM`);
  }
  const parts = jwe.split(".");
  const [encryptedKey, iv, ciphertext, tag] = parts.slice(1).map(fromBase64url);
  if (parts.length !== 5 || !encryptedKey || iv?.length !== 12 || !ciphertext || tag?.length !== 16) {
    throw new JweFault("the JWE is malformed");
  }
  const webcrypto = subtle();
  try {
    const raw =
      kty === "EC"
        ? await agreedKey(header, encryptedKey, key)
        : new Uint8Array(await webcrypto.decrypt("RSA-OAEP", key, encryptedKey));
    if (raw.length !== 32) {
      throw new JweFault("the JWE is malformed");
    }
    const content = await webcrypto.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
    raw.fill(0);
    const parameters = { name: "AES-GCM", iv, additionalData: utf8(parts[0]!), tagLength: 128 };
    const sealed = concat(ciphertext, tag);
    return new Uint8Array(await webcrypto.decrypt(parameters, content, sealed));
  } catch (error) {
    throw error instanceof JweFault ? error : new JweFault("the JWE is not for this key");
  }
}

/** The key that both sides agree on (RFC 7518 section 4.6), of 256 bits. */
async function agreedKey(
  header: Record<string, unknown>,
  encryptedKey: Bytes,
  key: CryptoKey,
): Promise<Bytes> {
  const epk = publicJwk((header.epk ?? {}) as JsonWebKey);
  if (epk?.kty !== "EC" || encryptedKey.length !== 0) {
    throw new JweFault("the JWE is malformed");
  }
  const webcrypto = subtle();
  const ephemeral = await webcrypto.importKey("jwk", epk, ALGORITHMS.EC.open, false, []);
  const shared = await webcrypto.deriveBits({ name: "ECDH", public: ephemeral }, key, 256);
  const info = concat(
    length32(1),
    new Uint8Array(shared),
    prefixed(utf8("A256GCM")),
    party(header.apu),
    party(header.apv),
    length32(256),
  );
  return new Uint8Array(await webcrypto.digest("SHA-256", info));
}

function party(value: unknown): Bytes {
  const octets = value === undefined ? new Uint8Array() : fromBase64url(String(value));
  if (octets === undefined) {
    throw new JweFault("the JWE is malformed");
  }
  return prefixed(octets);
}

function prefixed(octets: Bytes): Bytes {
  return concat(length32(octets.length), octets);
}

function length32(number: number): Bytes {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, number);
  return octets;
}
