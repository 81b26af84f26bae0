/** X.509 certificates, read as RFC 5280 writes them: only what the protocol's certificates have. */

import { type Bytes, concat, equal, utf8Text } from "./bytes.js";
import {
  BIT_STRING,
  BOOLEAN,
  INTEGER,
  Malformed,
  NULL,
  OCTET_STRING,
  OID,
  Reader,
  SEQUENCE,
  SET,
  type Value,
  bitString,
  boolean,
  context,
  integer,
  oid,
  only,
  positive,
  time,
} from "./der.js";

/** Signature algorithms. */
export const ECDSA_SHA256 = "1.2.840.10045.4.3.2";
export const RSA_SHA256 = "1.2.840.113549.1.1.11";

/** Extensions. */
export const SUBJECT_KEY_ID = "2.5.29.14";
export const KEY_USAGE = "2.5.29.15";
export const ALT_NAME = "2.5.29.17";
export const BASIC_CONSTRAINTS = "2.5.29.19";
export const NAME_CONSTRAINTS = "2.5.29.30";
export const AUTHORITY_KEY_ID = "2.5.29.35";
export const EXTENDED_KEY_USAGE = "2.5.29.37";

const EC_KEY = "1.2.840.10045.2.1";
const RSA_KEY = "1.2.840.113549.1.1.1";
const P256 = "1.2.840.10045.3.1.7";
const COMMON_NAME = "2.5.4.3";

/** A public key: its kind, and its SubjectPublicKeyInfo, by which keys are compared. */
export interface PublicKey {
  kind: "EC" | "RSA";
  spki: Bytes;
}

/** An extension, its value not yet read. */
export interface Extension {
  isCritical: boolean;
  value: Bytes;
}

/** A certificate, read. */
export interface Certificate {
  der: Bytes;
  /** What is signed. */
  tbs: Bytes;
  isV3: boolean;
  serial: Bytes;
  /** The object identifier, with dots. */
  signatureAlgorithm: string;
  signature: Bytes;
  /** The name in DER, as `subject`. */
  issuer: Bytes;
  subject: Bytes;
  /** In milliseconds since 1970, as `notAfter`. */
  notBefore: number;
  notAfter: number;
  /** The key, if it is of a supported kind. */
  key: PublicKey | undefined;
  extensions: Map<string, Extension>;
}

/** The subject's only attribute, if it is a common name. */
export function commonName(subject: Bytes): string | undefined {
  return attempt(() => {
    const attribute = new Reader(only(only(only(subject, SEQUENCE).content, SET).content).content);
    const isName = oid(attribute.next(OID)) === COMMON_NAME;
    const { content } = attribute.next();
    attribute.end();
    return isName ? utf8Text(content) : undefined;
  });
}

/** What basicConstraints says. */
export interface BasicConstraints {
  isCa: boolean;
  pathLength?: number;
}

/** The basic constraints; `undefined` where there are none that can be read. */
export function basicConstraints({ extensions }: Certificate): BasicConstraints | undefined {
  const value = extensions.get(BASIC_CONSTRAINTS)?.value;
  return value && attempt(() => {
    const fields = new Reader(only(value, SEQUENCE).content);
    const isCa = fields.optional(BOOLEAN);
    const length = fields.optional(INTEGER);
    fields.end();
    const octets = length && integer(length);
    if (octets !== undefined && (octets.length > 1 || octets[0]! >= 0x80)) {
      throw new Malformed();
    }
    return {
      isCa: isCa !== undefined && boolean(isCa),
      ...(octets === undefined ? {} : { pathLength: octets[0]! }),
    };
  });
}

/** Whether keyUsage has this bit; `undefined` where there is none that can be read. */
export function usage({ extensions }: Certificate, bit: number): boolean | undefined {
  const value = extensions.get(KEY_USAGE)?.value;
  const octets = value && attempt(() => only(value, BIT_STRING).content);
  if (octets === undefined || octets.length < 2 || octets[0]! > 7) {
    return undefined;
  }
  return ((octets[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0;
}

/** The URIs of the subject alternative name. */
export function uris({ extensions }: Certificate): string[] {
  const value = extensions.get(ALT_NAME)?.value;
  const found = value && attempt(() => {
    const names = new Reader(only(value, SEQUENCE).content);
    const texts: string[] = [];
    while (!names.isAtEnd) {
      const { tag, content } = names.next();
      if (tag === 0x86) {
        texts.push(utf8Text(content));
      }
    }
    return texts;
  });
  return found ?? [];
}

/** A certificate (RFC 5280 section 4.1), or `undefined`. */
export function parse(der: Bytes): Certificate | undefined {
  return attempt(() => {
    const outer = new Reader(only(der, SEQUENCE).content);
    const tbs = outer.next(SEQUENCE);
    const algorithm = outer.next(SEQUENCE);
    const signature = bitString(outer.next(BIT_STRING));
    outer.end();
    const fields = new Reader(tbs.content);
    const version = fields.optional(context(0));
    const isV3 = version !== undefined && equal(only(version.content, INTEGER).content, V3);
    const serial = integer(fields.next(INTEGER));
    // The signed copy of the algorithm must be the same.
    if (!equal(fields.next(SEQUENCE).whole, algorithm.whole)) {
      throw new Malformed();
    }
    const issuer = fields.next(SEQUENCE).whole;
    const validity = fields.open(SEQUENCE);
    const [notBefore, notAfter] = [time(validity.next()), time(validity.next())];
    validity.end();
    const subject = fields.next(SEQUENCE).whole;
    const spki = fields.next(SEQUENCE);
    const extensions = fields.optional(context(3));
    fields.end();
    return {
      der,
      tbs: tbs.whole,
      isV3,
      serial,
      signatureAlgorithm: signatureAlgorithm(algorithm),
      signature,
      issuer,
      subject,
      notBefore,
      notAfter,
      key: attempt(() => publicKey(spki)),
      extensions: readExtensions(extensions),
    };
  });
}

const V3 = new Uint8Array([2]);

function signatureAlgorithm({ content }: Value): string {
  const fields = new Reader(content);
  const id = oid(fields.next(OID));
  // RFC 4055 and RFC 5758: NULL with RSA, nothing with ECDSA.
  if (id === RSA_SHA256) {
    fields.optional(NULL);
  }
  if (id === RSA_SHA256 || id === ECDSA_SHA256) {
    fields.end();
  }
  return id;
}

/** RSA of 2048 to 4096 bits with the exponent 65537, or P-256. */
function publicKey({ content, whole }: Value): PublicKey {
  const fields = new Reader(content);
  const algorithm = fields.open(SEQUENCE);
  const id = oid(algorithm.next(OID));
  const bits = bitString(fields.next(BIT_STRING));
  fields.end();
  if (id === EC_KEY) {
    const curve = oid(algorithm.next(OID));
    algorithm.end();
    if (curve === P256 && bits.length === 65 && bits[0] === 4) {
      return { kind: "EC", spki: whole };
    }
  } else if (id === RSA_KEY) {
    algorithm.next(NULL);
    algorithm.end();
    const numbers = new Reader(only(bits, SEQUENCE).content);
    const modulus = positive(numbers.next(INTEGER));
    const exponent = positive(numbers.next(INTEGER));
    numbers.end();
    const size = 8 * (modulus.length - 1) + (32 - Math.clz32(modulus[0]!));
    if (size >= 2048 && size <= 4096 && equal(exponent, F4)) {
      return { kind: "RSA", spki: whole };
    }
  }
  throw new Malformed();
}

const F4 = new Uint8Array([1, 0, 1]);

function readExtensions(value: Value | undefined): Map<string, Extension> {
  const found = new Map<string, Extension>();
  const list = value && new Reader(only(value.content, SEQUENCE).content);
  while (list !== undefined && !list.isAtEnd) {
    const fields = list.open(SEQUENCE);
    const id = oid(fields.next(OID));
    const critical = fields.optional(BOOLEAN);
    const { content } = fields.next(OCTET_STRING);
    fields.end();
    if (found.has(id)) {
      throw new Malformed();
    }
    found.set(id, { isCritical: critical !== undefined && boolean(critical), value: content });
  }
  return found;
}

/** What `read` returns, or `undefined` where the bytes are not what it expects. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Malformed || error instanceof TypeError) {
      return undefined;
    }
    throw error;
  }
}

/** An ECDSA signature as WebCrypto has it: r and s, each with 32 octets. */
export function rawSignature(der: Bytes): Bytes | undefined {
  return attempt(() => {
    const both = new Reader(only(der, SEQUENCE).content);
    const numbers = [positive(both.next(INTEGER)), positive(both.next(INTEGER))];
    both.end();
    const padded = numbers.map((octets) => {
      if (octets.length > 32) {
        throw new Malformed();
      }
      return concat(new Uint8Array(32 - octets.length), octets);
    });
    return concat(...padded);
  });
}
