/** What the server answers, checked member by member. */

import { UnusableAnswerError } from "./errors.js";
import { json } from "./http.js";
import type { Credential } from "./storage.js";

/** The answer to a registration. */
export interface Registered {
  domain: string;
  machineGuid: string;
  newMember: boolean;
  registeredAt: string;
  keyVersion: number;
  credentials: Credential[];
  encryptedKeys: string | null;
}

/** The answer to a de-registration or its preview. */
export interface Deregistered {
  domain: string;
  machineGuid: string;
  preview: boolean;
  deregistered: boolean;
}

/** What anyone may know of a domain. */
export interface DomainDescription {
  domain: string;
  /** Whether joining and leaving need a token. */
  authenticationRequired: boolean;
  /** The namespace that the token must be of, where the domain names one. */
  authNamespace: string | null;
  /** The newest key's version; `null` before the first machine joined. */
  keyVersion: number | null;
  kid: string | null;
  x5c: string[] | null;
  /** Whether the next registration makes a new key. */
  keyRolloverRequired: boolean;
}

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === "string";
const isFlag: Check = (value) => typeof value === "boolean";
const isVersion: Check = (value) => Number.isSafeInteger(value) && (value as number) > 0;
const isTime: Check = (value) => isText(value) && !Number.isNaN(Date.parse(value as string));
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText);
const orNull = (check: Check): Check => (value) => value === null || check(value);

/** That a value is an object whose members are as they should be. Further members are ignored. */
function has(checks: Record<string, Check>): Check {
  return (value) =>
    typeof value === "object" &&
    value !== null &&
    Object.keys(checks).every((name) => checks[name]!((value as Record<string, unknown>)[name]));
}

const isCredential = has({
  keyVersion: isVersion,
  kid: isText,
  x5c: isTexts,
  notBefore: isTime,
  notAfter: isTime,
});

const isRegistered = has({
  domain: isText,
  machineGuid: isText,
  newMember: isFlag,
  registeredAt: isTime,
  keyVersion: isVersion,
  credentials: (value) => Array.isArray(value) && value.every(isCredential),
  encryptedKeys: orNull(isText),
});

const isDeregistered = has({
  domain: isText,
  machineGuid: isText,
  preview: isFlag,
  deregistered: isFlag,
});

const isDescription = has({
  domain: isText,
  authenticationRequired: isFlag,
  authNamespace: orNull(isText),
  keyVersion: orNull(isVersion),
  kid: orNull(isText),
  x5c: orNull(isTexts),
  keyRolloverRequired: isFlag,
});

function checked<T>(url: string, body: string, check: Check): T {
  const value = json(body);
  if (!check(value)) {
    throw new UnusableAnswerError(`${url} does not answer as a domain server does.`);
  }
  return value as T;
}

/** Each throws an `UnusableAnswerError` for anything else. */
export const readRegistered = (url: string, body: string) =>
  checked<Registered>(url, body, isRegistered);
export const readDeregistered = (url: string, body: string) =>
  checked<Deregistered>(url, body, isDeregistered);
export const readDescription = (url: string, body: string) =>
  checked<DomainDescription>(url, body, isDescription);
