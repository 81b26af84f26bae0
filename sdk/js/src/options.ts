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
   * the CAs that it sees when it first joins a domain, at the end of any version's chain, and no other
   * later.
   */
  trustedCa?: string;
  /** The type of the key of a new identity, `EC-P256` unless another is asked for. */
  keyType?: KeyType;
  /**
   * A token for domains that require one, or what gives the one to use now.
   *
   * A function is called for each attempt, while the device does nothing else. So it must not wait for
   * `join`, `leave`, `preview` or `forget` of the same device or storage: each would wait for the other.
   * What it throws, the call rejects with as it is.
   */
  token?: Token;
  /** When to retry; what is left out or `undefined` is as in `RETRY`. */
  retry?: Partial<RetryPolicy>;
  /** Sends requests, instead of the platform's own. */
  fetch?: typeof fetch;
  /** The time in milliseconds since 1970, where the platform's own clock is wrong. */
  now?: () => number;
}

/** Options of a call that needs no token. */
export interface SignalOptions {
  /**
   * Ends the call, its waits for other calls, for a token function and between attempts included: it
   * rejects with the signal's reason.
   *
   * The exception is a leave to which the server has agreed: it rejects with a `LeaveUnfinishedError`,
   * whose `cause` is the signal's reason.
   */
  signal?: AbortSignal;
}

/** Options of one call. */
export interface CallOptions extends SignalOptions {
  /** A token for this call, instead of the device's: a function must not do what the device's must not. */
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

/**
 * How a leave ended; in both cases nothing is held any more.
 *
 * `was-no-member`: the server agreed, to this call or to an earlier one that was not finished, and then
 * said that the machine is no member (`DEREG_DENIED`). It had removed it and that answer was lost, be it
 * that of this call before an automatic retry; or an operator removed the machine in between. A machine
 * that was removed before the server was first asked does not get this far: see `Device.leave`.
 */
export type Left = "left" | "was-no-member";

/** The result of verifying one domain's credentials. */
export interface Verification {
  membership: Membership;
  /** What is wrong, a sentence each. */
  faults: string[];
}
