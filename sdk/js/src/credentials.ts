/** Opens and checks the credentials that a registration brings. */

import type { Registered } from "./answers.js";
import { utf8Text } from "./bytes.js";
import { CertificateFault, Chain } from "./certificate.js";
import type { DomainUrl } from "./domain_url.js";
import { UntrustedError } from "./errors.js";
import { json } from "./http.js";
import { JweFault, jweHeader, open as openJwe } from "./jose.js";
import { type Identity, fits, importDomainKey } from "./keys.js";
import type { Credential, HeldCredential } from "./storage.js";

function untrusted({ domain }: DomainUrl, why: string): UntrustedError {
  return new UntrustedError(`The credentials of ${domain} were not stored: ${why}.`);
}

/**
 * Opens an answer's credentials with the machine's key: one private key for each, in order. Throws an
 * `UntrustedError` when the answer is for another domain or machine, its versions do not ascend, its
 * private keys cannot be opened, or they are not the credentials' own.
 */
export async function open(
  answer: Registered,
  url: DomainUrl,
  identity: Identity,
  extractable: boolean,
): Promise<HeldCredential[]> {
  const { credentials, keyVersion } = answer;
  if (answer.domain !== url.domain || answer.machineGuid.toLowerCase() !== identity.guid) {
    throw untrusted(url, "the answer is for another domain or machine");
  }
  const versions = credentials.map((credential) => credential.keyVersion);
  const ascend = versions.every((version, at) => at === 0 || versions[at - 1]! < version);
  if (!ascend || (versions.length > 0 && versions[versions.length - 1] !== keyVersion)) {
    throw untrusted(url, "the key versions in the answer are not in order");
  }
  const keys = await privateKeys(answer, url, identity);
  if (keys.length !== credentials.length) {
    throw untrusted(url, "there is not one private key for each credential");
  }
  const held: HeldCredential[] = [];
  for (const { kid, x5c, notBefore, notAfter, ...rest } of credentials) {
    const credential = { keyVersion: rest.keyVersion, kid, x5c, notBefore, notAfter };
    const jwk = keys.find((one) => one.kid === kid);
    if (jwk === undefined || !namesNoOtherChain(jwk, credential)) {
      throw untrusted(url, "a credential and its private key do not belong together");
    }
    const privateKey = await importDomainKey(jwk, extractable).catch(() => undefined);
    if (privateKey === undefined) {
      throw untrusted(url, "a private key is unusable");
    }
    held.push({ ...credential, privateKey });
  }
  return held;
}

type PrivateJwk = JsonWebKey & { kid?: unknown; x5c?: unknown };

/** Whether a private JWK has the credential's `x5c`, or none. */
function namesNoOtherChain({ x5c }: PrivateJwk, credential: Credential): boolean {
  return x5c === undefined || JSON.stringify(x5c) === JSON.stringify(credential.x5c);
}

async function privateKeys(
  { encryptedKeys }: Registered,
  url: DomainUrl,
  { publicJwk: { kty }, openKey, thumbprint }: Identity,
): Promise<PrivateJwk[]> {
  if (encryptedKeys === null) {
    return [];
  }
  try {
    const { cty, kid } = jweHeader(encryptedKeys);
    if (cty !== "jwk-set+json" || kid !== thumbprint) {
      throw new JweFault("the JWE is no key set for this machine's key");
    }
    const set = json(utf8Text(await openJwe(encryptedKeys, kty, openKey)));
    const keys = (set as { keys?: unknown } | undefined)?.keys;
    if (!Array.isArray(keys) || keys.some((key) => typeof key !== "object" || key === null)) {
      throw new JweFault("they are no JWK Set");
    }
    return keys as PrivateJwk[];
  } catch (error) {
    if (error instanceof JweFault || error instanceof TypeError) {
      throw untrusted(url, `the private keys: ${error.message}`);
    }
    throw error;
  }
}

/** Runs checks that throw `CertificateFault`s; returns what is wrong, as the end of a sentence. */
export async function faultOf(check: () => void | Promise<void>): Promise<string | undefined> {
  try {
    await check();
    return undefined;
  } catch (error) {
    if (error instanceof CertificateFault) {
      return error.message;
    }
    throw error;
  }
}

/**
 * Checks everything about a credential but its dates: its name, its chain up to `anchors`, its
 * certificate's profile, and that the private key is the certificate's. Throws a `CertificateFault`.
 */
export async function check(
  { kid, keyVersion, x5c, privateKey }: HeldCredential,
  domain: string,
  anchors: string[],
): Promise<void> {
  if (kid !== `${domain}/${keyVersion}`) {
    throw new CertificateFault("the key's name is not that of its domain and version");
  }
  const chain = Chain.parse(x5c);
  await chain.checkTrust(anchors);
  chain.checkLeaf(domain, keyVersion);
  if (!(await fits(privateKey, chain.key))) {
    throw new CertificateFault("the private key does not fit the certificate");
  }
}
