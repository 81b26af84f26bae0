/**
 * X.509 certificates of domain credentials: their chain up to the domain CA, their profile and dates.
 *
 * This is no general path validation. It knows what the protocol's certificates have, and refuses
 * everything else: other signatures and keys, unknown critical extensions, name constraints.
 */

import { type Bytes, base64, concat, equal, fromBase64, utf8Text } from "./bytes.js";
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

/** The most certificates in a chain. */
const MAX_CHAIN = 10;

const ECDSA_SHA256 = "1.2.840.10045.4.3.2";
const RSA_SHA256 = "1.2.840.113549.1.1.11";
const EC_KEY = "1.2.840.10045.2.1";
const RSA_KEY = "1.2.840.113549.1.1.1";
const P256 = "1.2.840.10045.3.1.7";
const COMMON_NAME = "2.5.4.3";

const SUBJECT_KEY_ID = "2.5.29.14";
const KEY_USAGE = "2.5.29.15";
const ALT_NAME = "2.5.29.17";
const BASIC_CONSTRAINTS = "2.5.29.19";
const NAME_CONSTRAINTS = "2.5.29.30";
const AUTHORITY_KEY_ID = "2.5.29.35";
const EXTENDED_KEY_USAGE = "2.5.29.37";

/** Critical extensions that are known; any other must be refused (RFC 5280 section 4.2). */
const KNOWN = [
  SUBJECT_KEY_ID,
  KEY_USAGE,
  ALT_NAME,
  BASIC_CONSTRAINTS,
  AUTHORITY_KEY_ID,
  EXTENDED_KEY_USAGE,
];

/** The bit of keyUsage that lets a key sign certificates. */
const KEY_CERT_SIGN = 5;

/** What is wrong with a certificate, as the end of a sentence. */
export class CertificateFault extends Error {}

/** A public key: its kind, and its SubjectPublicKeyInfo, by which keys are compared. */
export interface PublicKey {
  kind: "EC" | "RSA";
  spki: Bytes;
}

interface Extension {
  isCritical: boolean;
  value: Bytes;
}

/** A certificate, read. */
interface Certificate {
  der: Bytes;
  /** What is signed. */
  tbs: Bytes;
  isV3: boolean;
  serial: Bytes;
  signatureAlgorithm: string;
  signature: Bytes;
  issuer: Bytes;
  subject: Bytes;
  notBefore: number;
  notAfter: number;
  /** The key, if it is of a supported kind. */
  key: PublicKey | undefined;
  extensions: Map<string, Extension>;
}

/** A credential's certificate and its issuers, the leaf first. */
export class Chain {
  private constructor(private readonly certificates: [Certificate, ...Certificate[]]) {}

  /** Reads `x5c`, as in RFC 7515. Throws a `CertificateFault`. */
  static parse(x5c: string[]): Chain {
    const certificates = x5c.map((text) => {
      const der = fromBase64(text);
      const certificate = der && parse(der);
      if (certificate === undefined) {
        throw new CertificateFault("the certificate chain is malformed");
      }
      return certificate;
    });
    const [leaf, ...above] = certificates;
    if (leaf === undefined || certificates.length > MAX_CHAIN) {
      throw new CertificateFault("the certificate chain is empty or too long");
    }
    return new Chain([leaf, ...above]);
  }

  /** The last certificate in standard base64: the domain CA's, as the server presents it. */
  get last(): string {
    return base64(this.certificates[this.certificates.length - 1]!.der);
  }

  /** The leaf's SubjectPublicKeyInfo. */
  get key(): PublicKey {
    return keyOf(this.certificates[0]);
  }

  /**
   * Checks that each certificate is signed by the next, that issuers may issue, and that the last one
   * is one of `anchors` (DER in standard base64) or is signed by one. Dates are for `checkDates`.
   * Throws a `CertificateFault`.
   */
  async checkTrust(anchors: string[]): Promise<void> {
    this.certificates.forEach(checkExtensions);
    const [leaf, ...above] = this.certificates;
    // The leaf is never its own anchor: it would have to be a CA.
    const at = above.findIndex(({ der }) => anchors.includes(base64(der)));
    const issuers = at < 0 ? above : above.slice(0, at + 1);
    issuers.forEach(checkIssuer);
    const path = [leaf, ...issuers];
    for (const [below, issuer] of issuers.entries()) {
      if (!(await isIssued(path[below]!, issuer))) {
        throw new CertificateFault("the certificate chain does not hold together");
      }
    }
    const starts = Math.max(...path.map(({ notBefore }) => notBefore));
    if (path.some(({ notAfter }) => notAfter < starts)) {
      throw new CertificateFault("the certificates of the chain are never valid together");
    }
    if (at >= 0) {
      return;
    }
    for (const text of anchors) {
      const der = fromBase64(text);
      const anchor = der && parse(der);
      if (anchor !== undefined && mayIssue(anchor, issuers.length)) {
        if (await isIssued(path[path.length - 1]!, anchor)) {
          return;
        }
      }
    }
    throw new CertificateFault(
      "the chain does not end at the domain CA that is trusted for the domain",
    );
  }

  /**
   * Checks the leaf against the protocol's profile for a version of a domain's key. The origin in the
   * SAN is the server's name for itself, which may differ from the one that is used here: only the
   * domain and the version are compared. Throws a `CertificateFault`.
   */
  checkLeaf(domain: string, keyVersion: number): void {
    const leaf = this.certificates[0];
    const part = faultyPart(leaf, domain, keyVersion);
    if (part !== undefined) {
      throw new CertificateFault(`the certificate's ${part} does not match the protocol`);
    }
    keyOf(leaf);
  }

  /** Checks that all are valid at that moment, in milliseconds since 1970. Throws a `CertificateFault`. */
  checkDates(ms: number): void {
    for (const { notBefore, notAfter } of this.certificates) {
      if (ms < notBefore) {
        const text = new Date(notBefore).toISOString();
        throw new CertificateFault(`a certificate is not valid before ${text}`);
      }
      // The last second belongs to it.
      if (ms >= notAfter + 1000) {
        throw new CertificateFault(`a certificate expired at ${new Date(notAfter).toISOString()}`);
      }
    }
  }
}

/** The certificates of a PEM text, each DER in standard base64. Throws a `CertificateFault`. */
export function fromPem(text: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => {
    const body = block.replace(/-----[A-Z ]+-----/g, "").replace(/\s/g, "");
    const der = fromBase64(body);
    if (der === undefined || parse(der) === undefined) {
      throw new CertificateFault("a certificate in the PEM text is malformed");
    }
    return body;
  });
}

function keyOf({ key }: Certificate): PublicKey {
  if (key === undefined) {
    throw new CertificateFault("a certificate's key is of a kind that is not supported");
  }
  return key;
}

function checkExtensions({ extensions }: Certificate): void {
  for (const [id, { isCritical }] of extensions) {
    if (id === NAME_CONSTRAINTS || (isCritical && !KNOWN.includes(id))) {
      throw new CertificateFault(`a certificate has the extension ${id}, which is not supported`);
    }
  }
}

function checkIssuer(issuer: Certificate, below: number): void {
  if (!mayIssue(issuer, below)) {
    throw new CertificateFault("a certificate of the chain may not issue others");
  }
}

/** Whether it may issue certificates with so many intermediate ones below it. */
function mayIssue(issuer: Certificate, below: number): boolean {
  const { isCa, pathLength } = basicConstraints(issuer) ?? {};
  const isDeepEnough = pathLength === undefined || below <= pathLength;
  const maySign = !issuer.extensions.has(KEY_USAGE) || usage(issuer, KEY_CERT_SIGN) === true;
  return isCa === true && isDeepEnough && maySign && issuer.isV3 && issuer.key !== undefined;
}

async function isIssued(subject: Certificate, issuer: Certificate): Promise<boolean> {
  const { signatureAlgorithm: algorithm } = subject;
  if (algorithm !== ECDSA_SHA256 && algorithm !== RSA_SHA256) {
    throw new CertificateFault(
      `a certificate is signed with ${algorithm}; only RSA and ECDSA on P-256 with SHA-256 are supported`,
    );
  }
  const key = keyOf(issuer);
  const isEc = key.kind === "EC";
  if (!equal(subject.issuer, issuer.subject) || isEc !== (algorithm === ECDSA_SHA256)) {
    return false;
  }
  const parameters = isEc
    ? { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
    : { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const signature = isEc ? rawSignature(subject.signature) : subject.signature;
  if (signature === undefined) {
    return false;
  }
  const { subtle } = crypto;
  const verifier = await subtle.importKey("spki", key.spki, parameters, false, ["verify"]);
  return subtle.verify(parameters, verifier, signature, subject.tbs);
}

/** An ECDSA signature as WebCrypto has it: r and s, each with 32 octets. */
function rawSignature(der: Bytes): Bytes | undefined {
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

/** The part of the leaf that is not as the protocol says. */
function faultyPart(leaf: Certificate, domain: string, keyVersion: number): string | undefined {
  const isCritical = (id: string) => leaf.extensions.get(id)?.isCritical === true;
  if (!leaf.isV3) {
    return "version";
  }
  if (leaf.serial[0]! >= 0x80 || leaf.serial.every((octet) => octet === 0)) {
    return "serial number";
  }
  if (commonName(leaf.subject) !== domain) {
    return "subject";
  }
  if (!uris(leaf).some((uri) => isDomainsUri(uri, domain, keyVersion))) {
    return "subject alternative name";
  }
  if (!isCritical(BASIC_CONSTRAINTS) || basicConstraints(leaf)?.isCa !== false) {
    return "basic constraints";
  }
  if (!isCritical(KEY_USAGE) || usage(leaf, KEY_CERT_SIGN) !== false) {
    return "key usage";
  }
  if (!leaf.extensions.has(SUBJECT_KEY_ID)) {
    return "subject key identifier";
  }
  if (!leaf.extensions.has(AUTHORITY_KEY_ID)) {
    return "authority key identifier";
  }
  return undefined;
}

function isDomainsUri(uri: string, domain: string, keyVersion: number): boolean {
  const fragment = `#v${keyVersion}`;
  const url = uri.slice(0, -fragment.length).replace(/\/+$/, "");
  return uri.endsWith(fragment) && url.endsWith(`/${domain}`);
}

/** The subject's only attribute, if it is a common name. */
function commonName(subject: Bytes): string | undefined {
  return attempt(() => {
    const attribute = new Reader(only(only(only(subject, SEQUENCE).content, SET).content).content);
    const isName = oid(attribute.next(OID)) === COMMON_NAME;
    const { content } = attribute.next();
    attribute.end();
    return isName ? utf8Text(content) : undefined;
  });
}

interface BasicConstraints {
  isCa: boolean;
  pathLength?: number;
}

/** The basic constraints; `undefined` where there are none that can be read. */
function basicConstraints({ extensions }: Certificate): BasicConstraints | undefined {
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
function usage({ extensions }: Certificate, bit: number): boolean | undefined {
  const value = extensions.get(KEY_USAGE)?.value;
  const octets = value && attempt(() => only(value, BIT_STRING).content);
  if (octets === undefined || octets.length < 2 || octets[0]! > 7) {
    return undefined;
  }
  return ((octets[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0;
}

/** The URIs of the subject alternative name. */
function uris({ extensions }: Certificate): string[] {
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
function parse(der: Bytes): Certificate | undefined {
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
