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

/** The largest answer that is read, in bytes: thousands of key versions. */
const MAX_ANSWER = 16 * 1024 * 1024;

/**
 * How often and when a request is retried.
 *
 * Retries follow network errors and HTTP 502, 503 and 504; and 429 if the server asks for no longer wait
 * than `maxDelayMs`. The wait before attempt n is random, from zero to `baseDelayMs` times 2^(n-2). It is
 * at least what the server asks for with Retry-After, and at most `maxDelayMs`.
 */
export interface RetryPolicy {
  /** The largest number of attempts, including the first. */
  attempts: number;
  /** The longest wait before the second attempt. */
  baseDelayMs: number;
  /** The longest wait before any attempt. */
  maxDelayMs: number;
  /** How long one attempt may take. */
  timeoutMs: number;
}

/** The usual policy. */
export const RETRY: RetryPolicy = {
  attempts: 5,
  baseDelayMs: 500,
  maxDelayMs: 10_000,
  timeoutMs: 30_000,
};

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

/** What came of one attempt. */
type Attempt = { body: string } | { why: DomainError; again: boolean; afterMs: number };

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
    const result = await attempt(url, sending, body);
    if ("body" in result) {
      return result.body;
    }
    if (signal?.aborted) {
      throw aborted(signal);
    }
    if (!result.again || number >= retry.attempts) {
      throw result.why;
    }
    await wait(delay(retry, number, result.afterMs), signal);
  }
}

/** The wait after attempt number `attempt`, counted from 1. */
function delay({ baseDelayMs, maxDelayMs }: RetryPolicy, attempt: number, afterMs: number): number {
  const longest = Math.min(baseDelayMs * 2 ** (attempt - 1), maxDelayMs);
  return Math.max(Math.random() * longest, Math.min(afterMs, maxDelayMs));
}

async function attempt(
  url: string,
  { fetch: fetched, retry, signal, token }: Sending,
  body?: () => Promise<string>,
): Promise<Attempt> {
  const headers: Record<string, string> = { Accept: "application/json, application/problem+json" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/jose+json";
  }
  if (token !== undefined) {
    headers.Authorization = `Bearer ${checked(typeof token === "string" ? token : await token())}`;
  }
  const text = await body?.();
  const limit = new AbortController();
  const abort = () => limit.abort();
  const timer = setTimeout(abort, retry.timeoutMs);
  signal?.addEventListener("abort", abort);
  try {
    if (signal?.aborted) {
      abort();
    }
    const response = await fetched(url, {
      method: text === undefined ? "GET" : "POST",
      headers,
      ...(text === undefined ? {} : { body: text }),
      cache: "no-store",
      credentials: "omit",
      // A request is signed for one URL, and the token is for one server.
      redirect: "manual",
      referrerPolicy: "no-referrer",
      signal: limit.signal,
    });
    return judge(url, response, await read(response), retry);
  } catch (error) {
    if (error instanceof UnusableAnswerError) {
      return { why: error, again: false, afterMs: 0 };
    }
    // A browser does not say whether the network or the server's cors_origins were the cause.
    const why = new UnreachableError(`${url} cannot be reached.`, error);
    return { why, again: true, afterMs: 0 };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** The token, if it is one (RFC 6750 section 2.1). The error does not repeat it. */
function checked(token: string): string {
  const trimmed = token.trim();
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
function judge(url: string, response: Response, body: string, retry: RetryPolicy): Attempt {
  const { status, headers } = response;
  if (status >= 200 && status < 300) {
    return { body };
  }
  if (response.type === "opaqueredirect" || (status >= 300 && status < 400)) {
    const why = new UnusableAnswerError(`${url} redirects. Requests are not redirected.`);
    return { why, again: false, afterMs: 0 };
  }
  const afterMs = retryAfter(headers.get("retry-after"));
  const problem = problemOf(body);
  const isUnavailable = status >= 502 && status <= 504;
  const mayAskAgain = status === 429 && afterMs > 0 && afterMs <= retry.maxDelayMs;
  const again = isUnavailable || mayAskAgain || problem?.error === "STORE_UNAVAILABLE";
  if (problem !== undefined) {
    const seconds = afterMs > 0 ? [afterMs / 1000] : [];
    return { why: new RefusedError(problem, ...seconds), again, afterMs };
  }
  const why = isUnavailable
    ? new UnreachableError(`${url} is not available at the moment (HTTP ${status}).`)
    : new UnusableAnswerError(
        `${url} does not answer as a domain server does (HTTP ${status}). Check the URL.`,
      );
  return { why, again, afterMs };
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

/** Retry-After (RFC 9110 section 10.2.3) in milliseconds; 0 if there is none. */
function retryAfter(value: string | null): number {
  if (value === null) {
    return 0;
  }
  const ms = /^\s*\d+\s*$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(ms, 0) : 0;
}

function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      reject(aborted(signal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", end);
      resolve();
    }, ms);
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted) {
      end();
    }
  });
}

/** Why a signal was aborted; older engines do not say. */
function aborted(signal?: AbortSignal): unknown {
  return signal?.reason ?? new DOMException("This operation was aborted", "AbortError");
}
