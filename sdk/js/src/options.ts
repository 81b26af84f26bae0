/** What the operations of a device take and give. */

import type { RetryPolicy, Token } from "./http.js";
import type { KeyType } from "./keys.js";
import type { Membership, Storage } from "./storage.js";

/** How a device is set up. */
export interface DeviceOptions {
  /** Where its identity and domains are kept. */
  storage: Storage;
  /**
   * The domain CA's certificates that credentials must chain to, as PEM. Without them the device trusts
   * the CA that it sees when it first joins a domain, and no other later.
   */
  trustedCa?: string;
  /** The type of the key of a new identity, `EC-P256` unless another is asked for. */
  keyType?: KeyType;
  /** A token for domains that require one, or what gives the one to use now. */
  token?: Token;
  /** When to retry; what is left out is as in `RETRY`. */
  retry?: Partial<RetryPolicy>;
  /** Sends requests, instead of the platform's own. */
  fetch?: typeof fetch;
  /** The time in milliseconds since 1970, where the platform's own clock is wrong. */
  now?: () => number;
}

/** Options of one call. */
export interface CallOptions {
  /** Ends the call: it rejects with the signal's reason. */
  signal?: AbortSignal;
  /** A token for this call, instead of the device's. */
  token?: Token;
}

/** How to join. */
export interface JoinOptions extends CallOptions {
  /**
   * Ask only for key versions newer than those that are held, instead of all. Asking for all repairs what
   * is missing or damaged; an update only pays off in domains with very many versions.
   */
  update?: boolean;
}

/** The result of a join. */
export interface Joined {
  machineGuid: string;
  /** Whether the machine was not a member before. */
  newMember: boolean;
  /** What is held now. */
  membership: Membership;
  /** About credentials that are held although they have expired or are not valid yet. */
  warnings: string[];
}

/** How a leave ended: the machine has left, or was no longer a member. */
export type Left = "left" | "was-no-member";

/** The result of verifying one domain's credentials. */
export interface Verification {
  membership: Membership;
  /** What is wrong, a sentence each. */
  faults: string[];
}
