// What can go wrong in a call: the platform's own codes as classes, and the network.

/** What an error may say besides its code. */
export interface ErrorFacts {
  status?: number | undefined;
  details?: Readonly<Record<string, unknown>> | undefined;
  retryAfter?: number | undefined;
  requestId?: string | undefined;
  cause?: unknown;
}

/**
 * The base of everything this package throws. `code` is the platform's (such as `ALREADY_RUNNING`) or this package's
 * own; `status` the HTTP status; `details` one entry a field where a field was wrong; `retryAfter` seconds, where the
 * platform named them; `requestId` what its logs call the request.
 */
export class NIJAError extends Error {
  readonly code: string;
  readonly status: number | undefined;
  readonly details: Readonly<Record<string, unknown>>;
  readonly retryAfter: number | undefined;
  readonly requestId: string | undefined;

  constructor(code: string, message: string, facts: ErrorFacts = {}) {
    super(`${code}: ${message}`, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = new.target.name;
    this.code = code;
    this.status = facts.status;
    this.details = facts.details ?? {};
    this.retryAfter = facts.retryAfter;
    this.requestId = facts.requestId;
  }
}

/** The arguments of a call, or of the client, cannot be. Nothing was sent. */
export class InvalidArgument extends NIJAError {
  constructor(message: string) {
    super('INVALID_ARGUMENT', message);
  }
}

/** No answer came: whether the call took effect is not known. Repeat it with the same idempotency key to be sure. */
export class ConnectionFailed extends NIJAError {
  constructor(message: string, cause?: unknown) {
    super('CONNECTION_FAILED', message, { cause });
  }
}

/** The answer is not the platform's: something between here and there has answered instead. */
export class UnexpectedAnswer extends NIJAError {
  constructor(message: string, status?: number) {
    super('UNEXPECTED_ANSWER', message, { status });
  }
}

/** The platform refused or failed. */
export class APIError extends NIJAError {}

/** 400: the request says something that cannot be; `details` names it. */
export class BadRequest extends APIError {}

/** 401: no token, a wrong one, one that has expired or been revoked, or wrong credentials. */
export class AuthenticationFailed extends APIError {}

/** 402: it needs a paid subscription, or the payment failed. */
export class PaymentRequired extends APIError {}

/** 403: not for this account: role, tier, suspension, or an active kill switch. */
export class PermissionDenied extends APIError {}

/** 404. */
export class NotFound extends APIError {}

/** 409: it is already so, or the idempotency key was used for another request. */
export class Conflict extends APIError {}

/** 429: `retryAfter` says when to come again. */
export class RateLimited extends APIError {}

/** 500 and above: the platform or a broker failed; 503 is safe to try again. */
export class ServerError extends APIError {}

const BY_STATUS: Readonly<Record<number, typeof APIError>> = {
  400: BadRequest,
  401: AuthenticationFailed,
  402: PaymentRequired,
  403: PermissionDenied,
  404: NotFound,
  409: Conflict,
  429: RateLimited,
};

/** The error of an answer's status. */
export function apiError(code: string, message: string, facts: ErrorFacts & { status: number }): APIError {
  const kind = facts.status >= 500 ? ServerError : (BY_STATUS[facts.status] ?? APIError);
  return new kind(code, message, facts);
}
