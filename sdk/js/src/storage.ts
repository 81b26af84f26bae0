/** Where a machine's identity and its domains are kept. */

import { DomainError, LocalError } from "./errors.js";
import {
  type DomainKey,
  type Identity,
  type KeyType,
  exportPrivateJwk,
  importDomainKey,
  importIdentity,
} from "./keys.js";
import { inTurn } from "./signal.js";

/** The public half of a domain credential, as the server sends it. */
export interface Credential {
  /** The key's version, from 1. */
  keyVersion: number;
  /** The key's name: `{domain}/{keyVersion}`. */
  kid: string;
  /** The certificate and its chain up to the domain CA, each DER in standard base64. */
  x5c: string[];
  /** RFC 3339. */
  notBefore: string;
  /** RFC 3339. */
  notAfter: string;
}

/** A domain credential with its private key. */
export interface HeldCredential extends Credential {
  privateKey: DomainKey;
}

/** A domain that the machine is a member of, or is leaving. */
export interface Membership {
  /** The domain server URL in normal form, without a slash at the end. */
  url: string;
  domain: string;
  /**
   * `leaving`: the server agreed to the leave and the credentials are deleted, but it is not confirmed
   * that it removed the machine.
   */
  standing: "member" | "leaving";
  /** When the membership began by the server's clock, in RFC 3339; `null` where that is unknown. */
  registeredAt: string | null;
  /** The CA certificates that credentials must chain to, DER in standard base64. */
  caCertificates: string[];
  /** By ascending version. */
  credentials: HeldCredential[];
  /** The newest version that the server last said it has: later ones may be kept. */
  serverKeyVersion?: number;
}

/**
 * Keeps one machine's identity and domains. What is written is there when the promise is fulfilled.
 * Failures reject with any error. What is taken and given are copies: changes to them change nothing here.
 */
export interface Storage {
  /** Whether private keys must be extractable, because they are not kept as `CryptoKey`. */
  readonly extractable: boolean;
  identity(): Promise<Identity | undefined>;
  /** Keeps an identity unless there is one; returns the one that is there then. */
  addIdentity(identity: Identity): Promise<Identity>;
  /** By normal URL. */
  membership(url: string): Promise<Membership | undefined>;
  memberships(): Promise<Membership[]>;
  /** Adds one, or replaces that of the same URL. */
  putMembership(membership: Membership): Promise<void>;
  deleteMembership(url: string): Promise<void>;
  /**
   * Does `work` while no other work of the same storage is done, in other pages neither if it can.
   *
   * If `signal` is aborted before `work` begins, the promise rejects with the signal's reason at once,
   * `work` is never done, and those behind it still get their turn. Once it has begun, the signal ends
   * nothing here: `work` heeds it itself. A device makes up for a storage that leaves `signal` aside.
   */
  exclusive<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

/** Work, one piece after the other, in this realm. */
class Queue {
  private last: Promise<unknown> = Promise.resolve();

  add<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work);
    this.last = result.catch(() => undefined);
    return result;
  }
}

function copyOfIdentity(identity: Identity): Identity {
  return { ...identity, publicJwk: { ...identity.publicJwk } };
}

function copyOf(membership: Membership): Membership {
  const credentials = membership.credentials.map(({ x5c, privateKey, ...credential }) => ({
    ...credential,
    x5c: [...x5c],
    privateKey: { ...privateKey },
  }));
  return { ...membership, caCertificates: [...membership.caCertificates], credentials };
}

/** Keeps everything in memory, private keys not extractable: for as long as the program runs. */
export class MemoryStorage implements Storage {
  readonly extractable: boolean = false;
  private readonly queue = new Queue();
  protected kept: Identity | undefined;
  protected domains = new Map<string, Membership>();

  async identity(): Promise<Identity | undefined> {
    return this.kept && copyOfIdentity(this.kept);
  }

  async addIdentity(identity: Identity): Promise<Identity> {
    this.kept = this.kept ?? copyOfIdentity(identity);
    return copyOfIdentity(this.kept);
  }

  async membership(url: string): Promise<Membership | undefined> {
    const found = this.domains.get(url);
    return found && copyOf(found);
  }

  async memberships(): Promise<Membership[]> {
    return Array.from(this.domains.values(), copyOf);
  }

  async putMembership(membership: Membership): Promise<void> {
    this.domains.set(membership.url, copyOf(membership));
  }

  async deleteMembership(url: string): Promise<void> {
    this.domains.delete(url);
  }

  exclusive<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return inTurn((turn) => this.queue.add(turn), work, signal);
  }
}

const IDENTITY = "identity";
const MEMBERSHIPS = "memberships";
const MACHINE = "machine";

/** A queue for each database of this page that has no Web Locks: storages of the same name share it. */
const queues = new Map<string, Queue>();

function queueOf(name: string): Queue {
  const queue = queues.get(name) ?? new Queue();
  queues.set(name, queue);
  return queue;
}

/** Keeps everything in IndexedDB, private keys as `CryptoKey`s that no script can read. */
export class IndexedDbStorage implements Storage {
  readonly extractable = false;
  private opened: Promise<IDBDatabase> | undefined;

  /** Each name is a machine of its own. */
  constructor(private readonly name: string = "anonymous-domains") {}

  identity(): Promise<Identity | undefined> {
    return this.read(IDENTITY, (store) => store.get(MACHINE));
  }

  async addIdentity(identity: Identity): Promise<Identity> {
    let kept: Identity | undefined;
    await this.write(IDENTITY, (store) => {
      const found: IDBRequest<Identity | undefined> = store.get(MACHINE);
      found.onsuccess = () => {
        kept = found.result ?? identity;
        if (found.result === undefined) {
          store.add(identity, MACHINE);
        }
      };
    });
    return kept ?? identity;
  }

  membership(url: string): Promise<Membership | undefined> {
    return this.read(MEMBERSHIPS, (store) => store.get(url));
  }

  memberships(): Promise<Membership[]> {
    return this.read(MEMBERSHIPS, (store) => store.getAll());
  }

  putMembership(membership: Membership): Promise<void> {
    return this.write(MEMBERSHIPS, (store) => void store.put(membership));
  }

  deleteMembership(url: string): Promise<void> {
    return this.write(MEMBERSHIPS, (store) => void store.delete(url));
  }

  /** Over all pages of the origin where the browser has Web Locks, or else in this page. */
  exclusive<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const locks = typeof navigator === "undefined" ? undefined : navigator.locks;
    const options = signal === undefined ? {} : { signal };
    // Not every engine has what the types promise. Chromium passes over a signal that is aborted before a
    // page's first request has reached the lock manager; older ones reject with another reason.
    const take = (turn: () => Promise<T>) =>
      locks === undefined || locks === null
        ? queueOf(this.name).add(turn)
        : (locks.request(`anonymous-domains:${this.name}`, options, turn) as Promise<T>);
    return inTurn(take, work, signal);
  }

  /** Closes the database; it is opened again when it is needed. */
  async close(): Promise<void> {
    const opened = this.opened;
    this.opened = undefined;
    (await opened)?.close();
  }

  private async read<T>(name: string, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    const database = await this.database();
    const request = ask(database.transaction(name).objectStore(name));
    return new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  }

  private async write(name: string, change: (store: IDBObjectStore) => void): Promise<void> {
    const database = await this.database();
    // Older engines ignore the third argument.
    const transaction = database.transaction(name, "readwrite", { durability: "strict" });
    change(transaction.objectStore(name));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
  }

  private database(): Promise<IDBDatabase> {
    if (this.opened === undefined) {
      const opening = this.open();
      this.opened = opening;
      opening.catch(() => {
        this.opened = undefined;
      });
    }
    return this.opened;
  }

  private open(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open(this.name, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(IDENTITY);
        request.result.createObjectStore(MEMBERSHIPS, { keyPath: "url" });
      };
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const database = request.result;
        // Another page wants to delete it, or the browser has taken it away.
        database.onversionchange = () => void this.close();
        database.onclose = () => {
          this.opened = undefined;
        };
        resolve(database);
      };
    });
  }
}

/** A text that a program keeps, such as a file. It has private keys: nobody else may read it. */
export interface KeptText {
  /** The text that was written last; `undefined` if none was. */
  read(): Promise<string | undefined>;
  /** Must replace the former text as a whole. */
  write(text: string): Promise<void>;
}

interface Saved {
  version: 1;
  identity?: { guid: string; keyType: KeyType; jwk: JsonWebKey };
  memberships: (Omit<Membership, "credentials"> & {
    credentials: (Credential & { jwk: JsonWebKey })[];
  })[];
}

/**
 * Keeps everything in one text, private keys as JWKs: for Node and Deno, which cannot keep a
 * `CryptoKey`. One program at a time may use a text.
 */
export class TextStorage extends MemoryStorage {
  override readonly extractable = true;
  private readonly writes = new Queue();

  private constructor(private readonly text: KeptText) {
    super();
  }

  /** Reads the text. Rejects with a `LocalError` if it cannot, or it is not what this class has written. */
  static async open(text: KeptText): Promise<TextStorage> {
    const storage = new TextStorage(text);
    let saved: string | undefined;
    try {
      saved = await text.read();
    } catch (error) {
      throw new LocalError(`The stored text cannot be read: ${String(error)}.`, error);
    }
    try {
      await storage.load(saved === undefined ? { version: 1, memberships: [] } : JSON.parse(saved));
    } catch (error) {
      // That there is no WebCrypto says nothing of the text.
      throw error instanceof DomainError
        ? error
        : new LocalError("The stored text is damaged, or of another version.", error);
    }
    return storage;
  }

  override addIdentity(identity: Identity): Promise<Identity> {
    return this.change(() => super.addIdentity(identity));
  }

  override putMembership(membership: Membership): Promise<void> {
    return this.change(() => super.putMembership(membership));
  }

  override deleteMembership(url: string): Promise<void> {
    return this.change(() => super.deleteMembership(url));
  }

  /** Changes what is in memory and writes it, or does neither. */
  private change<T>(change: () => Promise<T>): Promise<T> {
    return this.writes.add(async () => {
      const [kept, domains] = [this.kept, new Map(this.domains)];
      try {
        const result = await change();
        await this.save();
        return result;
      } catch (error) {
        this.kept = kept;
        this.domains = domains;
        throw error;
      }
    });
  }

  private async load({ version, identity, memberships }: Saved): Promise<void> {
    if (version !== 1) {
      throw new TypeError("another version");
    }
    if (identity !== undefined) {
      this.kept = await importIdentity(identity.guid, identity.keyType, identity.jwk);
    }
    for (const { credentials, ...membership } of memberships) {
      const held: HeldCredential[] = [];
      for (const { jwk, ...credential } of credentials) {
        const privateKey = await importDomainKey(jwk, true);
        if (privateKey === undefined) {
          throw new TypeError("a domain's private key is none");
        }
        held.push({ ...credential, privateKey });
      }
      this.domains.set(membership.url, { ...membership, credentials: held });
    }
  }

  private async save(): Promise<void> {
    const saved: Saved = { version: 1, memberships: [] };
    if (this.kept !== undefined) {
      const { guid, keyType, signKey } = this.kept;
      saved.identity = { guid, keyType, jwk: await exportPrivateJwk(signKey) };
    }
    for (const { credentials, ...membership } of this.domains.values()) {
      const written: (Credential & { jwk: JsonWebKey })[] = [];
      for (const { privateKey, ...credential } of credentials) {
        written.push({ ...credential, jwk: await exportPrivateJwk(privateKey.key) });
      }
      saved.memberships.push({ ...membership, credentials: written });
    }
    await this.text.write(JSON.stringify(saved));
  }
}
