/** Octets, and how they are written as text. */

/** Octets that are alone in their buffer's kind: what WebCrypto takes. */
export type Bytes = Uint8Array<ArrayBuffer>;

const BASE64URL = /^[A-Za-z0-9_-]*$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** UTF-8. */
export function utf8(text: string): Bytes {
  return new Uint8Array(new TextEncoder().encode(text));
}

/** The text of UTF-8. Throws a `TypeError` for anything else. */
export function utf8Text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

/** Base64 with padding (RFC 4648 section 4). */
export function base64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x2000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x2000));
  }
  return btoa(binary);
}

/** Base64url without padding (RFC 7515 section 2). */
export function base64url(bytes: Uint8Array): string {
  return base64(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** Reads base64 with padding, strictly; `undefined` for anything else. */
export function fromBase64(text: string): Bytes | undefined {
  if (!BASE64.test(text)) {
    return undefined;
  }
  const bytes = octets(atob(text));
  return base64(bytes) === text ? bytes : undefined;
}

/** Reads base64url without padding, strictly; `undefined` for anything else. */
export function fromBase64url(text: string): Bytes | undefined {
  if (!BASE64URL.test(text) || text.length % 4 === 1) {
    return undefined;
  }
  const bytes = octets(atob(text.replace(/-/g, "+").replace(/_/g, "/")));
  return base64url(bytes) === text ? bytes : undefined;
}

function octets(binary: string): Bytes {
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** One after the other. */
export function concat(...parts: Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whether they are the same. Not for secrets: it takes less time the earlier they differ. */
export function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
