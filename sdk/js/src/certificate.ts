/**
 * X.509 certificates of domain credentials: their chain up to the domain CA, their profile and dates.
 *
 * This is no general path validation. It knows what the protocol's certificates have, and refuses
 * everything else: other signatures and keys, unknown critical extensions, name constraints.
 */

import { base64, equal, fromBase64 } from "./bytes.js";
import { subtle } from "./webcrypto.js";
import {
  ALT_NAME,
  AUTHORITY_KEY_ID,
  BASIC_CONSTRAINTS,
  type Certificate,
  ECDSA_SHA256,
  EXTENDED_KEY_USAGE,
  KEY_USAGE,
  NAME_CONSTRAINTS,
  type PublicKey,
  RSA_SHA256,
  SUBJECT_KEY_ID,
  basicConstraints,
  commonName,
  parse,
  rawSignature,
  uris,
  usage,
} from "./x509.js";

/** The most certificates in a chain. */
const MAX_CHAIN = 10;

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

  /** The leaf's SubjectPublicKeyInfo. */
  get key(): PublicKey {
    return keyOf(this.certificates[0]);
  }

  /** From when to when the leaf is valid, in seconds since 1970. */
  get dates(): [number, number] {
    const { notBefore, notAfter } = this.certificates[0];
    return [notBefore / 1000, notAfter / 1000];
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

/**
 * The certificates of a PEM text, each DER in standard base64; `undefined` if it has none, or one that is
 * malformed.
 */
export function fromPem(text: string): string[] | undefined {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  const bodies = blocks?.map((block) => block.replace(/-----[A-Z ]+-----/g, "").replace(/\s/g, ""));
  const isMalformed = (body: string) => {
    const der = fromBase64(body);
    return der === undefined || parse(der) === undefined;
  };
  return bodies?.some(isMalformed) ? undefined : bodies;
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
  const webcrypto = subtle();
  try {
    const verifier = await webcrypto.importKey("spki", key.spki, parameters, false, ["verify"]);
    return await webcrypto.verify(parameters, verifier, signature, subject.tbs);
  } catch {
    // Such as a point that is not on the curve.
    throw new CertificateFault("an issuer's key is unusable");
  }
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
