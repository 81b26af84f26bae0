/** The operations of a device: join, leave, verify, and use what it holds. */

import {
  type DomainDescription,
  type Registered,
  readDeregistered,
  readDescription,
  readRegistered,
} from "./answers.js";
import type { Bytes } from "./bytes.js";
import { Chain, fromPem } from "./certificate.js";
import * as credentials from "./credentials.js";
import { DomainUrl } from "./domain_url.js";
import {
  DomainError,
  LeaveUnfinishedError,
  LocalError,
  UnusableAnswerError,
  UntrustedError,
  UsageError,
  isRefusal,
} from "./errors.js";
import { type Sending, policy, send } from "./http.js";
import { JweFault, jweHeader, open as openJwe, sign } from "./jose.js";
import { type Identity, KEY_TYPES, type KeyType, createIdentity } from "./keys.js";
import type {
  CallOptions,
  DeviceOptions,
  JoinOptions,
  Joined,
  Left,
  SignalOptions,
  Verification,
} from "./options.js";
import { inTurn } from "./signal.js";
import type { HeldCredential, Membership, Storage } from "./storage.js";

/** A device: a storage, and a way to talk to domain servers. */
export class Device {
  private readonly storage: Storage;
  private readonly trusted: string[] | undefined;
  private readonly keyType: KeyType | undefined;
  private readonly sending: Sending;
  private readonly now: () => number;

  /** Throws a `UsageError` for CA certificates, a type of key or numbers for retries that are none. */
  constructor(options: DeviceOptions) {
    this.storage = options.storage;
    this.trusted = options.trustedCa === undefined ? undefined : trusted(options.trustedCa);
    this.keyType = options.keyType;
    if (this.keyType !== undefined && !KEY_TYPES.includes(this.keyType)) {
      throw new UsageError(`keyType must be one of ${KEY_TYPES.join(", ")}.`);
    }
    this.now = options.now ?? Date.now;
    this.sending = {
      retry: policy(options.retry),
      fetch: options.fetch ?? ((input, init) => fetch(input, init)),
      token: options.token,
    };
  }

  /** The machine's identity, which is made when it is first asked for. */
  async identity(): Promise<Identity> {
    const found = await this.kept(this.storage.identity());
    if (found === undefined) {
      const made = await createIdentity(this.keyType ?? "EC-P256", this.storage.extractable);
      return this.kept(this.storage.addIdentity(made));
    }
    if (this.keyType !== undefined && found.keyType !== this.keyType) {
      throw new UsageError(
        `This device already has a key of type ${found.keyType}, and a device's key never changes.`,
      );
    }
    return found;
  }

  /**
   * Joins a domain, or fetches its credentials again. Nothing is stored before everything is checked:
   * the chain up to a trusted CA, the certificate's profile, and that each private key fits.
   *
   * Rejects with any `DomainError` but `LeaveUnfinishedError`; as other calls do also with what a token
   * function throws, and with the signal's reason.
   */
  join(url: string | URL, options: JoinOptions = {}): Promise<Joined> {
    return this.alone(url, options, (at) => this.joinAt(at, options));
  }

  private async joinAt(url: DomainUrl, options: JoinOptions): Promise<Joined> {
    const identity = await this.identity();
    const held = await this.kept(this.storage.membership(url.href));
    const known = options.update === true ? credentials.knownVersion(held) : undefined;
    let answer = await this.register(url, identity, held, known, options);
    let kept: HeldCredential[] = [];
    if (known !== undefined && held !== undefined) {
      if (credentials.continues(answer, held, known)) {
        kept = held.credentials.filter(({ keyVersion }) => keyVersion <= known);
      } else {
        // What is held is of an earlier domain with the same name. The first request may have joined.
        const all = await this.register(url, identity, held, undefined, options);
        answer = { ...all, newMember: answer.newMember || all.newMember };
      }
    }
    const { extractable } = this.storage;
    const all = [...kept, ...(await credentials.open(answer, url, identity, extractable))];
    if (all.length === 0) {
      throw new UntrustedError(`The server gave no credentials of ${url.domain}.`);
    }
    const anchors = this.anchors(held, all);
    const warnings: string[] = [];
    for (const credential of all) {
      const fault = await credentials.faultOf(() =>
        credentials.check(credential, url.domain, anchors),
      );
      if (fault !== undefined) {
        throw new UntrustedError(
          `The credentials of ${url.domain} were not stored: version ${credential.keyVersion}: ${fault}.`,
        );
      }
      warnings.push(...(await this.dateFaults(credential)));
    }
    for (const later of await credentials.laterVersions(held, all)) {
      all.push(later);
      warnings.push(`version ${later.keyVersion}: kept, although the server no longer has it`);
    }
    const membership: Membership = {
      url: url.href,
      domain: url.domain,
      standing: "member",
      registeredAt: answer.registeredAt,
      caCertificates: [...anchors],
      credentials: all,
      serverKeyVersion: answer.keyVersion,
    };
    await this.kept(this.storage.putMembership(membership));
    return { machineGuid: identity.guid, newMember: answer.newMember, membership, warnings };
  }

  /** Asks whether the machine may leave, and changes nothing. Rejects if it may not. */
  preview(url: string | URL, options: CallOptions = {}): Promise<void> {
    return this.alone(url, options, async (at) => {
      const held = await this.kept(this.storage.membership(at.href));
      await this.deregister(at, await this.existing(), held?.registeredAt, true, options);
    });
  }

  /**
   * Leaves a domain in two phases. It asks first; if the server agrees, it deletes the domain's
   * credentials, and only then has the machine removed. If the second answer is lost, the storage
   * remembers it, and leaving again finishes the leave.
   *
   * Before the credentials are deleted nothing has changed; after it the error is a
   * `LeaveUnfinishedError`, also for a signal or a token function.
   *
   * Where the machine is no member when the server is first asked, because an operator removed it before,
   * it rejects with the refusal `DEREG_DENIED`, and the credentials stay: call `forget` to delete them.
   */
  leave(url: string | URL, options: CallOptions = {}): Promise<Left> {
    return this.alone(url, options, (at) => this.leaveAt(at, options));
  }

  private async leaveAt(url: DomainUrl, options: CallOptions): Promise<Left> {
    const identity = await this.existing();
    const held = await this.kept(this.storage.membership(url.href));
    const registeredAt = held?.registeredAt ?? null;
    if (held?.standing !== "leaving") {
      await this.deregister(url, identity, registeredAt, true, options);
      const leaving: Membership = {
        url: url.href,
        domain: url.domain,
        standing: "leaving",
        registeredAt,
        caCertificates: [],
        credentials: [],
      };
      await this.kept(this.storage.putMembership(leaving));
    }
    let left: Left = "left";
    try {
      await this.deregister(url, identity, registeredAt, false, options);
    } catch (error) {
      // The server agreed before, and the machine is no longer a member: see `Left`.
      if (!isRefusal(error, "DEREG_DENIED")) {
        throw new LeaveUnfinishedError(error);
      }
      left = "was-no-member";
    }
    await this.kept(this.storage.deleteMembership(url.href));
    return left;
  }

  /** Deletes what is held of a domain without asking its server. */
  forget(url: string | URL, options: SignalOptions = {}): Promise<void> {
    return this.alone(url, options, (at) => this.kept(this.storage.deleteMembership(at.href)));
  }

  /** What is held of a domain; `undefined` for nothing. */
  async membership(url: string | URL): Promise<Membership | undefined> {
    return this.kept(this.storage.membership(DomainUrl.parse(url).href));
  }

  /** What is held of all domains. */
  async memberships(): Promise<Membership[]> {
    return this.kept(this.storage.memberships());
  }

  /**
   * Verifies what is held of one domain, or of all, without asking anyone: the chain up to a trusted CA,
   * the certificates' profile and dates, and that each private key fits. What does not verify is a fault,
   * not an error.
   */
  async verify(url?: string | URL): Promise<Verification[]> {
    const held = url === undefined ? await this.memberships() : [await this.heldOf(url)];
    const verified: Verification[] = [];
    for (const membership of held) {
      const faults: string[] = [];
      const anchors = this.anchors(membership, []);
      for (const credential of membership.credentials) {
        const fault = await credentials.faultOf(() =>
          credentials.check(credential, membership.domain, anchors),
        );
        if (fault !== undefined) {
          faults.push(`version ${credential.keyVersion}: ${fault}`);
        }
        faults.push(...(await this.dateFaults(credential)));
      }
      if (membership.standing === "member" && membership.credentials.length === 0) {
        faults.push("there are no credentials");
      }
      verified.push({ membership, faults });
    }
    return verified;
  }

  /**
   * Opens a compact JWE that is encrypted to a key of a domain, such as a content key: `kid` names the
   * version, `enc` is `A256GCM`, and `alg` `RSA-OAEP-256` or `ECDH-ES`.
   *
   * Rejects with a `LocalError` if that version is not held, with an `UntrustedError` if it does not open.
   */
  async open(url: string | URL, jwe: string): Promise<Bytes> {
    const membership = await this.heldOf(url);
    try {
      const { kid } = jweHeader(jwe);
      const found = membership.credentials.find((credential) => credential.kid === kid);
      if (found === undefined) {
        throw new LocalError(`This device does not hold the key that the JWE names.`);
      }
      const { kty, key } = found.privateKey;
      return await openJwe(jwe, kty, key);
    } catch (error) {
      throw error instanceof JweFault
        ? new UntrustedError(`The JWE was not opened: ${error.message}.`)
        : error;
    }
  }

  /** What anyone may know of a domain. */
  async describe(url: string | URL, options: SignalOptions = {}): Promise<DomainDescription> {
    const { href } = DomainUrl.parse(url);
    return readDescription(href, await this.get(href, options));
  }

  /**
   * The domain CA's certificates as the server presents them, as PEM: to show them to a person, or to
   * compare them with others. Whoever can change answers can change these.
   */
  async caCertificates(url: string | URL, options: SignalOptions = {}): Promise<string> {
    const { caCertificates } = DomainUrl.parse(url);
    const pem = await this.get(caCertificates, options);
    if (fromPem(pem) === undefined) {
      throw new UnusableAnswerError(`${caCertificates} has no certificates in PEM, or malformed ones.`);
    }
    return pem;
  }

  private get(target: string, { signal }: SignalOptions): Promise<string> {
    return send(target, { ...this.sending, signal, token: undefined });
  }

  /**
   * The certificates to trust: the caller's, or those kept with the domain, or else the last of each chain:
   * between two CAs a domain's versions have both.
   */
  private anchors(held: Membership | undefined, fresh: HeldCredential[]): string[] {
    if (this.trusted !== undefined) {
      return this.trusted;
    }
    if (held !== undefined && held.caCertificates.length > 0) {
      return held.caCertificates;
    }
    return [...new Set(fresh.flatMap(({ x5c }) => x5c.slice(-1)))];
  }

  private async dateFaults({ x5c, keyVersion }: HeldCredential): Promise<string[]> {
    const fault = await credentials.faultOf(() => Chain.parse(x5c).checkDates(this.now()));
    return fault === undefined ? [] : [`version ${keyVersion}: ${fault}`];
  }

  private async register(
    url: DomainUrl,
    identity: Identity,
    held: Membership | undefined,
    knownKeyVersion: number | undefined,
    options: CallOptions,
  ): Promise<Registered> {
    const isMember = held?.standing === "member";
    const body = await this.post(url, url.register, identity, options, () => ({
      machineGuid: identity.guid,
      iat: this.now() / 1000,
      ...(isMember ? { currentDomain: url.domain } : {}),
      ...(knownKeyVersion === undefined ? {} : { knownKeyVersion }),
    }));
    return readRegistered(url.register, body);
  }

  private async deregister(
    url: DomainUrl,
    identity: Identity,
    registeredAt: string | null | undefined,
    preview: boolean,
    options: CallOptions,
  ): Promise<void> {
    // A request from before the membership began would be a replay: this device's clock may be behind.
    const began = Date.parse(registeredAt ?? "") || 0;
    const body = await this.post(url, url.deregister, identity, options, () => ({
      machineGuid: identity.guid,
      iat: Math.max(this.now(), began) / 1000,
      preview,
    }));
    const answer = readDeregistered(url.deregister, body);
    const isOurs =
      answer.domain === url.domain &&
      answer.machineGuid.toLowerCase() === identity.guid &&
      answer.preview === preview &&
      answer.deregistered !== preview;
    if (!isOurs) {
      throw new UnusableAnswerError(`${url.deregister} answered another request than this one.`);
    }
  }

  private post(
    url: DomainUrl,
    target: string,
    { publicJwk, signKey }: Identity,
    { signal, token = this.sending.token }: CallOptions,
    payload: () => Record<string, unknown>,
  ): Promise<string> {
    if (token !== undefined && url.exposesTokens) {
      throw new UsageError(`A token for ${url.href} could be read on the network: use https.`);
    }
    const header = { typ: "domain-request", jwk: publicJwk, url: target };
    return send(target, { ...this.sending, signal, token }, () =>
      sign(header, payload(), publicJwk.kty, signKey),
    );
  }

  private async existing(): Promise<Identity> {
    const found = await this.kept(this.storage.identity());
    if (found === undefined) {
      throw new LocalError("This device has never joined a domain, so there is nothing to leave.");
    }
    return found;
  }

  private async heldOf(url: string | URL): Promise<Membership> {
    const { href } = DomainUrl.parse(url);
    const found = await this.kept(this.storage.membership(href));
    if (found === undefined) {
      throw new LocalError(`This device holds nothing of ${href}.`);
    }
    return found;
  }

  /** Does one thing at a time with the storage. */
  private async alone<T>(
    url: string | URL,
    { signal }: SignalOptions,
    work: (url: DomainUrl) => Promise<T>,
  ): Promise<T> {
    const at = DomainUrl.parse(url);
    const done = async () => {
      const result = work(at);
      await result.catch(() => undefined);
      // In an object: what the work throws is no failure of the storage.
      return { result };
    };
    const take = (turn: typeof done) => this.kept(this.storage.exclusive(turn, signal));
    return (await inTurn(take, done, signal)).result;
  }

  /** What a storage gives, its failures as errors of this SDK. */
  private async kept<T>(result: Promise<T>): Promise<T> {
    try {
      return await result;
    } catch (error) {
      throw error instanceof DomainError
        ? error
        : new LocalError(`The storage failed: ${String(error)}.`, error);
    }
  }
}

function trusted(pem: string): string[] {
  const certificates = fromPem(pem);
  if (certificates === undefined) {
    throw new UsageError("trustedCa has no certificates in PEM, or malformed ones.");
  }
  return certificates;
}
