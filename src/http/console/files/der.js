// Certificates (RFC 5280) as far as they are shown. The server made them: they are read, not checked.

const NAMES = {
  "2.5.4.3": "CN",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
};

const SIGNATURES = {
  "1.2.840.10045.4.3.2": "ECDSA with SHA-256",
  "1.2.840.10045.4.3.3": "ECDSA with SHA-384",
  "1.2.840.10045.4.3.4": "ECDSA with SHA-512",
  "1.2.840.113549.1.1.11": "RSA with SHA-256",
  "1.2.840.113549.1.1.12": "RSA with SHA-384",
  "1.2.840.113549.1.1.13": "RSA with SHA-512",
  "1.3.101.112": "Ed25519",
};

const CURVES = { "1.2.840.10045.3.1.7": "P-256", "1.3.132.0.34": "P-384" };

const RSA = "1.2.840.113549.1.1.1";
const EC = "1.2.840.10045.2.1";
const SUBJECT_ALT_NAME = "2.5.29.17";

const [INTEGER, BIT_STRING, OCTET_STRING, UTC_TIME] = [0x02, 0x03, 0x04, 0x17];
const [URI, EXTENSIONS, VERSION] = [0x86, 0xa3, 0xa0];

const text = (bytes) => new TextDecoder().decode(bytes);

/** The elements that follow each other in `bytes`, with their tags and contents. */
function elements(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at++];
    let length = bytes[at++];
    if (length > 0x7f) {
      const octets = length & 0x7f;
      length = bytes.subarray(at, at + octets).reduce((sum, octet) => sum * 256 + octet, 0);
      at += octets;
    }
    if (!(at + length <= bytes.length)) {
      throw new RangeError("an element that is cut off");
    }
    found.push({ tag, bytes: bytes.subarray(at, at + length) });
    at += length;
  }
  return found;
}

function objectIdentifier({ bytes }) {
  const arcs = [];
  let arc = 0;
  for (const octet of bytes) {
    arc = arc * 128 + (octet & 0x7f);
    if (octet < 0x80) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const first = Math.min(Math.floor(arcs[0] / 40), 2);
  return [first, arcs[0] - first * 40, ...arcs.slice(1)].join(".");
}

function distinguishedName({ bytes }) {
  const attributes = elements(bytes).flatMap((set) => elements(set.bytes));
  return attributes
    .map((attribute) => {
      const [type, value] = elements(attribute.bytes);
      const identifier = objectIdentifier(type);
      return `${NAMES[identifier] ?? identifier}=${text(value.bytes)}`;
    })
    .join(", ");
}

function time({ tag, bytes }) {
  const digits = text(bytes);
  const century = Number(digits.slice(0, 2)) < 50 ? "20" : "19";
  const [, ...parts] = (tag === UTC_TIME ? century + digits : digits).match(
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/,
  );
  const [year, month, day, hour, minute, second] = parts;
  return `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
}

function keyType({ bytes }) {
  const [algorithm, key] = elements(bytes);
  const [identifier, parameters] = elements(algorithm.bytes);
  switch (objectIdentifier(identifier)) {
    case EC: {
      const curve = objectIdentifier(parameters);
      return `EC ${CURVES[curve] ?? curve}`;
    }
    case RSA: {
      // After the number of unused bits.
      const [both] = elements(key.tag === BIT_STRING ? key.bytes.subarray(1) : key.bytes);
      const [modulus] = elements(both.bytes);
      const zeros = modulus.bytes[0] === 0 ? 1 : 0;
      return `RSA ${(modulus.bytes.length - zeros) * 8}`;
    }
    default:
      return objectIdentifier(identifier);
  }
}

function alternativeUris(extensions) {
  for (const extension of elements(elements(extensions.bytes)[0].bytes)) {
    const parts = elements(extension.bytes);
    if (objectIdentifier(parts[0]) === SUBJECT_ALT_NAME) {
      const value = parts.find(({ tag }) => tag === OCTET_STRING);
      const [names] = elements(value.bytes);
      return elements(names.bytes)
        .filter(({ tag }) => tag === URI)
        .map(({ bytes }) => text(bytes));
    }
  }
  return [];
}

const hex = (bytes) =>
  Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join(":");

const bytesOf = (base64) => Uint8Array.from(atob(base64), (octet) => octet.charCodeAt(0));

/** What a certificate says, from its DER in base64. */
export function readCertificate(base64) {
  const [certificate] = elements(bytesOf(base64));
  const [toBeSigned, signature] = elements(certificate.bytes);
  const fields = elements(toBeSigned.bytes).filter(({ tag }) => tag !== VERSION);
  const [serial, , issuer, validity, subject, key] = fields;
  if (serial.tag !== INTEGER) {
    throw new TypeError("no certificate");
  }
  const [notBefore, notAfter] = elements(validity.bytes).map(time);
  const extensions = fields.find(({ tag }) => tag === EXTENSIONS);
  const algorithm = objectIdentifier(elements(signature.bytes)[0]);
  return {
    subject: distinguishedName(subject),
    issuer: distinguishedName(issuer),
    serial: hex(serial.bytes),
    notBefore,
    notAfter,
    keyType: keyType(key),
    signature: SIGNATURES[algorithm] ?? algorithm,
    uris: extensions ? alternativeUris(extensions) : [],
  };
}

/** The SHA-256 of a certificate; `null` where the browser has none to offer (not over plain HTTP). */
export async function fingerprint(base64) {
  const digest = await globalThis.crypto?.subtle?.digest("SHA-256", bytesOf(base64));
  return digest ? hex(new Uint8Array(digest)) : null;
}

/** A certificate in PEM. */
export function pem(base64) {
  const lines = base64.match(/.{1,64}/g).join("\n");
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
