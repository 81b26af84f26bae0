/** Opens and checks the credentials that a registration brings, beside those that are held. */

import type { Registered } from "./answers.js";
import { utf8Text } from "./bytes.js";
import { CertificateFault, Chain } from "./certificate.js";
import type { DomainUrl } from "./domain_url.js";
import { UntrustedError } from "./errors.js";
import { json } from "./http.js";
import { JweFault, jweHeader, open as openJwe } from "./jose.js";
import { type Identity, fits, importDomainKey } from "./keys.js";
import type { Credential, HeldCredential, Membership } from "./storage.js";

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
 * Checks everything about a credential but whether it is in date: its name, its chain up to `anchors`, its
 * certificate's profile, and that its dates and the private key are the certificate's. Throws a
 * `CertificateFault`.
 */
export async function check(
  { kid, keyVersion, x5c, notBefore, notAfter, privateKey }: HeldCredential,
  domain: string,
  anchors: string[],
): Promise<void> {
  if (kid !== `${domain}/${keyVersion}`) {
    throw new CertificateFault("the key's name is not that of its domain and version");
  }
  const chain = Chain.parse(x5c);
  await chain.checkTrust(anchors);
  chain.checkLeaf(domain, keyVersion);
  const dates = [notBefore, notAfter].map((text) => Math.floor(Date.parse(text) / 1000));
  if (!chain.dates.every((date, at) => date === dates[at])) {
    throw new CertificateFault("its dates are not the certificate's");
  }
  if (!(await fits(privateKey, chain.key))) {
    throw new CertificateFault("the private key does not fit the certificate");
  }
}

/** The newest version that is held and that the server is known to have too. */
export function knownVersion(held: Membership | undefined): number | undefined {
  const ofServer = held?.serverKeyVersion ?? Infinity;
  const known = held?.credentials.filter(({ keyVersion }) => keyVersion <= ofServer) ?? [];
  return known[known.length - 1]?.keyVersion;
}

/**
 * What `held` has after the last of `checked`, if both have a key in common: the server then answered as
 * it was before, perhaps from a restored copy, and what these keys open would be lost without them.
 * Otherwise the domain is another one of the same name.
 */
export async function laterVersions(
  held: Membership | undefined,
  checked: HeldCredential[],
): Promise<HeldCredential[]> {
  const last = checked[checked.length - 1]?.keyVersion ?? 0;
  const later = held?.credentials.filter(({ keyVersion }) => keyVersion > last) ?? [];
  if (later.length === 0) {
    return [];
  }
  for (const { keyVersion, privateKey } of held!.credentials) {
    const other = checked.find((one) => one.keyVersion === keyVersion);
    if (other !== undefined && (await fits(privateKey, Chain.parse(other.x5c).key))) {
      return later;
    }
  }
  return [];
}

/**
 * Whether an answer with the versions after `known` continues `held`: the membership and the newest
 * version are as they must be if the domain is still the same. `registeredAt` has whole seconds, so a new
 * membership may have that of the former.
 */
export function continues({ credentials: news, ...answer }: Registered, held: Membership, known: number) {
  const first = news[0]?.keyVersion ?? known + 1;
  const newest = news[news.length - 1]?.keyVersion ?? known;
  return (
    !answer.newMember &&
    held.registeredAt === answer.registeredAt &&
    newest === answer.keyVersion &&
    first === known + 1
  );
}
