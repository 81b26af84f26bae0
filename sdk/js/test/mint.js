// Mints certificates, good ones and such as no CA would sign.

const OIDS = {
  ecdsaSha256: "06082a8648ce3d040302",
  ecdsaSha384: "06082a8648ce3d040303",
  rsaSha256: "06092a864886f70d01010b0500",
  commonName: "0603550403",
  keyUsage: "0603551d0f",
  basicConstraints: "0603551d13",
  altName: "0603551d11",
  subjectKeyId: "0603551d0e",
  authorityKeyId: "0603551d23",
  nameConstraints: "0603551d1e",
  unknown: "06032a0304",
};

const hex = (text) => Buffer.from(text, "hex");

/** A DER value. */
export function der(tag, ...parts) {
  const content = Buffer.concat(parts.map((part) => (typeof part === "string" ? hex(part) : part)));
  const size = content.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

const sequence = (...parts) => der(0x30, ...parts);
const name = (text) => sequence(der(0x31, sequence(OIDS.commonName, der(0x0c, Buffer.from(text)))));
const time = (date) => der(0x18, Buffer.from(date.toISOString().replace(/\.\d+|[-:T]/g, "")));
const unsigned = (bytes) => (bytes[0] & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);

function integer(bytes) {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) {
    from += 1;
  }
  return der(0x02, unsigned(bytes.subarray(from)));
}

/** An extension: its name in OIDS, whether it is critical, and its value. */
export const extension = (id, isCritical, ...value) =>
  sequence(OIDS[id], ...(isCritical ? ["0101ff"] : []), der(0x04, ...value));

export const EC = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
export const RSA = {
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
};

export const newKey = (algorithm = EC) =>
  crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);

/** The extensions of a CA. */
export const caExtensions = ({ isCa = true, pathLength, usage = "03020204" } = {}) => [
  extension(
    "basicConstraints",
    true,
    sequence(...(isCa ? ["0101ff"] : []), ...(pathLength === undefined ? [] : [der(2, pathLength)])),
  ),
  ...(usage ? [extension("keyUsage", true, usage)] : []),
];

/** The extensions of a credential, by their names, so that a test can replace one. */
export const leafExtensions = (uri) => ({
  basicConstraints: extension("basicConstraints", true, sequence()),
  keyUsage: extension("keyUsage", true, "03020388"),
  subjectKeyId: extension("subjectKeyId", false, der(4, "01020304")),
  authorityKeyId: extension("authorityKeyId", false, sequence(der(0x80, "01020304"))),
  altName: extension("altName", false, sequence(der(0x86, Buffer.from(uri)))),
});

/** A certificate in DER. `issuer` has the name and key that sign it. */
export async function mint({
  subject,
  key,
  issuer,
  extensions,
  serial = "4123",
  version = "a003020102",
  from = new Date(Date.now() - 3_600_000),
  to = new Date(Date.now() + 3_600_000),
  algorithm,
  innerAlgorithm,
}) {
  const { privateKey } = issuer.key;
  const isEc = privateKey.algorithm.name === "ECDSA";
  const outer = sequence(OIDS[algorithm ?? (isEc ? "ecdsaSha256" : "rsaSha256")]);
  const inner = innerAlgorithm === undefined ? outer : sequence(OIDS[innerAlgorithm]);
  const spki = Buffer.from(await crypto.subtle.exportKey("spki", key.publicKey));
  const tbs = sequence(
    version,
    der(0x02, serial),
    inner,
    name(issuer.subject),
    sequence(time(from), time(to)),
    name(subject),
    spki,
    der(0xa3, sequence(...extensions)),
  );
  const parameters = isEc ? EC : RSA;
  let signature = Buffer.from(await crypto.subtle.sign(parameters, privateKey, tbs));
  if (isEc) {
    signature = sequence(integer(signature.subarray(0, 32)), integer(signature.subarray(32)));
  }
  return sequence(tbs, outer, der(0x03, "00", signature));
}
