/**
 * The device's side of Anonymous Domains.
 *
 * ```js
 * const device = new Device({ storage: new IndexedDbStorage() });
 * const joined = await device.join("https://example.org/flashaccess/domainserver/living-room/");
 * ```
 */

export type { DomainDescription } from "./answers.js";
export type { Bytes } from "./bytes.js";
export { Device } from "./device.js";
export {
  DomainError,
  ERRORS,
  type ErrorKind,
  type ErrorName,
  LeaveUnfinishedError,
  LocalError,
  type Problem,
  RefusedError,
  UnreachableError,
  UntrustedError,
  UnusableAnswerError,
  UsageError,
  isRefusal,
} from "./errors.js";
export { RETRY, type RetryPolicy, type Token } from "./http.js";
export type { PublicJwk } from "./jose.js";
export type { DomainKey, Identity, KeyType } from "./keys.js";
export type {
  CallOptions,
  DeviceOptions,
  JoinOptions,
  Joined,
  Left,
  SignalOptions,
  Verification,
} from "./options.js";
export {
  type Credential,
  type HeldCredential,
  IndexedDbStorage,
  type KeptText,
  type Membership,
  MemoryStorage,
  type Storage,
  TextStorage,
} from "./storage.js";
