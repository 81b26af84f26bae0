/** Requests, one at a time, with safe retries. */

import { concat, utf8Text } from "./bytes.js";
import {
  type DomainError,
  type Problem,
  RefusedError,
  UnreachableError,
  UnusableAnswerError,
  UsageError,
} from "./errors.js";
import { throwIfAborted, unlessAborted } from "./signal.js";

/** The largest answer that is read, in bytes: thousands of key versions. */
const MAX_ANSWER = 16 * 1024 * 1024;

/** The longest time that timers know: they take a longer one for none at all. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * How often and when a request is retried.
 *
 * Retries follow network errors and HTTP 502, 503 and 504; and 429 if the server asks for a wait with
 * Retry-After. The wait before attempt n is what the server asks for, and a random time from zero to
 * `baseDelayMs` times 2^(n-2), at most `maxDelayMs`: so devices that were refused together do not come back
 * together. There is no retry if the server asks for longer than `maxDelayMs`: the error has `retryAfter`.
 *
 * Times above 2^31-1 ms are taken as that, which is the longest that timers know.
 */
export interface RetryPolicy {
  /** The largest number of attempts, including the first: a whole number from 1. */
  attempts: number;
  /** The longest random wait before the second attempt, from 0. */
  baseDelayMs: number;
  /** The longest random wait before any attempt, and the longest that a server may ask for, from 0. */
  maxDelayMs: number;
  /** How long one attempt may take, a token function included: above 0, `Infinity` too. */
  timeoutMs: number;
}

/** The usual policy. */
export const RETRY: RetryPolicy = {
  attempts: 5,
  baseDelayMs: 500,
  maxDelayMs: 10_000,
  timeoutMs: 30_000,
};

/** The usual policy with these changes. Throws a `UsageError` for numbers that make none. */
export function policy({
  attempts = RETRY.attempts,
  baseDelayMs = RETRY.baseDelayMs,
  maxDelayMs = RETRY.maxDelayMs,
  timeoutMs = RETRY.timeoutMs,
}: Partial<RetryPolicy> = {}): RetryPolicy {
  const mayWait = [baseDelayMs, maxDelayMs].every((ms) => Number.isFinite(ms) && ms >= 0);
  const mayTry = Number.isInteger(attempts) && attempts >= 1;
  if (!mayTry || !mayWait || typeof timeoutMs !== "number" || !(timeoutMs > 0)) {
    throw new UsageError(
      "retry is wrong: attempts is a whole number from 1, the delays are finite numbers from 0, and " +
        "timeoutMs is a number above 0.",
    );
  }
  return {
    attempts,
    baseDelayMs: Math.min(baseDelayMs, LONGEST_MS),
    maxDelayMs: Math.min(maxDelayMs, LONGEST_MS),
    timeoutMs: Math.min(timeoutMs, LONGEST_MS),
  };
}

/** A bearer token, or what gives the one to use now. */
export type Token = string | (() => string | Promise<string>);

/** What a request is sent with. */
export interface Sending {
  retry: RetryPolicy;
  fetch: typeof fetch;
  /** Ends it, waits included. */
  signal?: AbortSignal | undefined;
  /** Sent as `Authorization: Bearer`. */
  token?: Token | undefined;
}

/** What came of one attempt: the body, or why there is none, and whether and when a retry may succeed. */
type Attempt = { body: string } | { why: DomainError; again: boolean; afterMs: number };

const final = (why: DomainError): Attempt => ({ why, again: false, afterMs: 0 });
const passing = (why: DomainError): Attempt => ({ why, again: true, afterMs: 0 });

/**
 * Sends a request until it is granted, and returns the body. `body` is called for each attempt, so that
 * the request is never older than the attempt; without it the request is a GET.
 */
export async function send(
  url: string,
  sending: Sending,
  body?: () => Promise<string>,
): Promise<string> {
  const { retry, signal } = sending;
  for (let number = 1; ; number += 1) {
    throwIfAborted(signal);
    const result = await attempt(url, sending, body);
    if ("body" in result) {
      return result.body;
    }
    throwIfAborted(signal);
    const ms = result.again ? delay(retry, number, result.afterMs) : undefined;
    if (ms === undefined) {
      throw result.why;
    }
    await wait(ms, signal);
  }
}

/**
 * The wait after attempt number `attempt`, counted from 1, where another one may follow; `afterMs` is what
 * the server asked for.
 */
export function delay(
  { attempts, baseDelayMs, maxDelayMs }: RetryPolicy,
  attempt: number,
  afterMs: number,
): number | undefined {
  if (attempt >= attempts || afterMs > maxDelayMs) {
    return undefined;
  }
  // The power stays finite: zero times infinity is no number.
  const longest = Math.min(baseDelayMs * 2 ** Math.min(attempt - 1, 31), maxDelayMs);
  return Math.min(afterMs + Math.random() * longest, LONGEST_MS);
}

/** Asks once, for as long as an attempt may take. */
async function attempt(
  url: string,
  sending: Sending,
  body?: () => Promise<string>,
): Promise<Attempt> {
  const { retry, signal } = sending;
  const limit = new AbortController();
  const abort = () => limit.abort();
  const timer = setTimeout(abort, retry.timeoutMs);
  signal?.addEventListener("abort", abort);
  try {
    return await ask(url, sending, limit.signal, body);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

async function ask(
  url: string,
  { fetch: fetched, token }: Sending,
  limit: AbortSignal,
  body?: () => Promise<string>,
): Promise<Attempt> {
  const headers: Record<string, string> = { Accept: "application/json, application/problem+json" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/jose+json";
  }
  if (token !== undefined) {
    try {
      headers.Authorization = `Bearer ${checked(await unlessAborted(tokenOf(token), limit))}`;
    } catch (error) {
      // What the token function itself throws is for whoever gave it, as it is.
      if (!limit.aborted) {
        throw error;
      }
      return passing(new UnreachableError(`${url} was not asked: no token came in time.`));
    }
  }
  const text = await body?.();
  try {
    const response = await fetched(url, {
      method: text === undefined ? "GET" : "POST",
      headers,
      ...(text === undefined ? {} : { body: text }),
      cache: "no-store",
      credentials: "omit",
      // A request is signed for one URL, and the token is for one server.
      redirect: "manual",
      referrerPolicy: "no-referrer",
      signal: limit,
    });
    return judge(url, response, await read(response));
  } catch (error) {
    if (error instanceof UnusableAnswerError) {
      return final(error);
    }
    // A browser does not say whether the network or the server's cors_origins were the cause.
    return passing(new UnreachableError(`${url} cannot be reached.`, error));
  }
}

async function tokenOf(token: Token): Promise<string> {
  return typeof token === "function" ? token() : token;
}

/** The token, if it is one (RFC 6750 section 2.1). The error does not repeat it. */
function checked(token: unknown): string {
  const trimmed = typeof token === "string" ? token.trim() : "";
  if (!/^[\x21-\x7e]+$/.test(trimmed)) {
    throw new UsageError("The token is empty or has characters that are not allowed in tokens.");
  }
  return trimmed;
}

async function read(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) {
    return "";
  }
  const whole: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    whole.push(value);
    length += value.length;
    if (length > MAX_ANSWER) {
      void reader.cancel();
      throw new UnusableAnswerError(`${response.url} answers with too much.`);
    }
  }
  try {
    return utf8Text(concat(...whole));
  } catch {
    return "";
  }
}

/** Sorts an answer. */
function judge(url: string, response: Response, body: string): Attempt {
  const { status, headers } = response;
  if (status >= 200 && status < 300) {
    return { body };
  }
  if (response.type === "opaqueredirect" || (status >= 300 && status < 400)) {
    return final(new UnusableAnswerError(`${url} redirects. Requests are not redirected.`));
  }
  const serverTime = dateOf(headers.get("date"));
  const afterMs = retryAfter(headers.get("retry-after"), serverTime ?? new Date());
  const seconds = afterMs > 0 ? afterMs / 1000 : undefined;
  const problem = problemOf(body);
  const isUnavailable = status >= 502 && status <= 504;
  const hasToWait = status === 429 && afterMs > 0;
  const again = isUnavailable || hasToWait || problem?.error === "STORE_UNAVAILABLE";
  if (problem !== undefined) {
    return { why: new RefusedError(problem, seconds, serverTime), again, afterMs };
  }
  if (isUnavailable || hasToWait) {
    const text = `${url} is not available at the moment (HTTP ${status}).`;
    return { why: new UnreachableError(text, undefined, seconds), again, afterMs };
  }
  return final(
    new UnusableAnswerError(
      `${url} does not answer as a domain server does (HTTP ${status}). Check the URL.`,
    ),
  );
}

function problemOf(body: string): Problem | undefined {
  const value = json(body) as Problem | undefined;
  const isProblem =
    typeof value === "object" &&
    value !== null &&
    typeof value.error === "string" &&
    typeof value.status === "number";
  return isProblem ? { ...value, detail: String(value.detail ?? "") } : undefined;
}

/** Reads JSON; `undefined` for anything else. */
export function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function dateOf(value: string | null): Date | undefined {
  const date = new Date(value ?? "");
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/**
 * Retry-After (RFC 9110 section 10.2.3) in milliseconds; 0 if there is none. `now` is the server's time,
 * because this device's clock may be wrong.
 */
function retryAfter(value: string | null, now: Date): number {
  if (value !== null && /^\s*\d+\s*$/.test(value)) {
    return Number(value) * 1000;
  }
  const at = dateOf(value);
  return at === undefined ? 0 : Math.max(at.getTime() - now.getTime(), 0);
}

async function wait(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const passed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await unlessAborted(passed, signal);
  } finally {
    clearTimeout(timer);
  }
}
