/** What can go wrong, by who has to act. */

/**
 * The names of the server's refusals with their HTTP status and, for the reference implementation's
 * own, its number.
 */
export const ERRORS = {
  DOM_AUTHENTICATION_REQUIRED: { status: 401, code: 503 },
  DOM_LIMIT_REACHED: { status: 409, code: 502 },
  DOM_REG_DENIED: { status: 403, code: 501 },
  DEREG_DENIED: { status: 403, code: 401 },
  INVALID_DOMAIN_NAME: { status: 400 },
  INVALID_REQUEST: { status: 400 },
  INVALID_SIGNATURE: { status: 400 },
  REQUEST_EXPIRED: { status: 400 },
  MACHINE_KEY_MISMATCH: { status: 403 },
  MACHINE_NOT_TRUSTED: { status: 403 },
  ADMIN_AUTHENTICATION_REQUIRED: { status: 401 },
  ADMIN_FORBIDDEN: { status: 403 },
  UNKNOWN_DOMAIN: { status: 404 },
  NOT_FOUND: { status: 404 },
  METHOD_NOT_ALLOWED: { status: 405 },
  REQUEST_REPLAYED: { status: 409 },
  PRECONDITION_FAILED: { status: 412 },
  PAYLOAD_TOO_LARGE: { status: 413 },
  UNSUPPORTED_MEDIA_TYPE: { status: 415 },
  RATE_LIMITED: { status: 429 },
  INTERNAL: { status: 500 },
  STORE_UNAVAILABLE: { status: 503 },
} as const;

/** The name of a refusal that this SDK knows. */
export type ErrorName = keyof typeof ERRORS;

/** A problem document (RFC 9457), as the server sends it. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  /** The request: `urn:uuid:` or `urn:request:` and its `X-Request-Id`. */
  instance?: string;
  /** The error's name. A later server may have names that this SDK does not know. */
  error: ErrorName | (string & {});
  /** The reference implementation's number. */
  code?: number;
}

/** What kind of error it is: who has to act. */
export type ErrorKind =
  | "usage"
  | "refused"
  | "unreachable"
  | "unusable-answer"
  | "untrusted"
  | "local"
  | "leave-unfinished";

/** Every error of this SDK. Its message is a sentence for people; it holds no secrets. */
export abstract class DomainError extends Error {
  /** The kind, the same in every version and also after minification. */
  abstract readonly kind: ErrorKind;
  /** What caused it, if that is an error of its own. */
  readonly cause?: unknown;

  constructor(message: string, cause?: unknown) {
    super(message);
    this.name = new.target.name;
    if (cause !== undefined) {
      this.cause = cause;
    }
  }
}

/** The arguments are wrong. */
export class UsageError extends DomainError {
  override readonly kind = "usage";
}

/**
 * The server understood and refused. It changed nothing, unless it failed or its store did (`INTERNAL`,
 * `STORE_UNAVAILABLE`): then the request may have had its effect. Repeating it is safe.
 */
export class RefusedError extends DomainError {
  override readonly kind = "refused";

  constructor(
    /** What the server answered. */
    readonly problem: Problem,
    /** How long it asked to wait before another attempt, in seconds. */
    readonly retryAfter?: number,
    /** The server's time when it refused, where the answer says it: for a device whose clock is wrong. */
    readonly serverTime?: Date,
  ) {
    super(`The server refused: ${problem.error}: ${problem.detail}`);
  }

  /** The error's name: what a program should look at. */
  get error(): Problem["error"] {
    return this.problem.error;
  }

  /** The HTTP status. */
  get status(): number {
    return this.problem.status;
  }
}

/** The server could not be reached, or did not answer in any attempt. */
export class UnreachableError extends DomainError {
  override readonly kind = "unreachable";

  constructor(
    message: string,
    cause?: unknown,
    /** How long whoever answered in its place asked to wait, in seconds. */
    readonly retryAfter?: number,
  ) {
    super(message, cause);
  }
}

/** The answer is not that of a domain server. */
export class UnusableAnswerError extends DomainError {
  override readonly kind = "unusable-answer";
}

/** Credentials did not verify, and were not stored. */
export class UntrustedError extends DomainError {
  override readonly kind = "untrusted";
}

/** Something is missing in the storage, is damaged, or the storage cannot be used. */
export class LocalError extends DomainError {
  override readonly kind = "local";
}

/**
 * The server agreed to the leave and the credentials are deleted, but it is not known yet whether the
 * server removed the machine. Leaving again finishes it. `cause` says what happened.
 */
export class LeaveUnfinishedError extends DomainError {
  override readonly kind = "leave-unfinished";

  constructor(cause: unknown) {
    const message = cause instanceof Error ? cause.message : String(cause);
    super(`${message} The domain's credentials are already deleted: leave again.`, cause);
  }
}

/** Whether an error is the server's refusal, of this name if one is given. */
export function isRefusal(error: unknown, name?: ErrorName): error is RefusedError {
  return error instanceof RefusedError && (name === undefined || error.error === name);
}
