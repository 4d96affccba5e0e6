"""Errors are codes. One table maps a code to its HTTP status; domain code raises codes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ErrorCode(StrEnum):
    """Every code an answer may carry."""

    INVALID_CREDENTIALS = "INVALID_CREDENTIALS"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"
    TOKEN_INVALID = "TOKEN_INVALID"
    UNAUTHORIZED = "UNAUTHORIZED"
    EMAIL_ALREADY_EXISTS = "EMAIL_ALREADY_EXISTS"
    INVALID_EMAIL = "INVALID_EMAIL"
    WEAK_PASSWORD = "WEAK_PASSWORD"
    TERMS_NOT_ACCEPTED = "TERMS_NOT_ACCEPTED"
    ACCOUNT_DISABLED = "ACCOUNT_DISABLED"
    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    ALREADY_RUNNING = "ALREADY_RUNNING"
    NOT_RUNNING = "NOT_RUNNING"
    NO_BROKER_CONFIGURED = "NO_BROKER_CONFIGURED"
    SUBSCRIPTION_REQUIRED = "SUBSCRIPTION_REQUIRED"
    KILL_SWITCH_ACTIVE = "KILL_SWITCH_ACTIVE"
    POSITION_NOT_FOUND = "POSITION_NOT_FOUND"
    INVALID_SETTING = "INVALID_SETTING"
    INVALID_RISK_LEVEL = "INVALID_RISK_LEVEL"
    EXCEEDS_TIER_LIMIT = "EXCEEDS_TIER_LIMIT"
    INVALID_API_KEY = "INVALID_API_KEY"
    BROKER_ALREADY_CONNECTED = "BROKER_ALREADY_CONNECTED"
    UNSUPPORTED_BROKER = "UNSUPPORTED_BROKER"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    DATABASE_ERROR = "DATABASE_ERROR"
    BROKER_ERROR = "BROKER_ERROR"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"


_BY_STATUS: dict[int, tuple[ErrorCode, ...]] = {
    400: (
        ErrorCode.INVALID_EMAIL,
        ErrorCode.WEAK_PASSWORD,
        ErrorCode.TERMS_NOT_ACCEPTED,
        ErrorCode.NOT_RUNNING,
        ErrorCode.NO_BROKER_CONFIGURED,
        ErrorCode.INVALID_SETTING,
        ErrorCode.INVALID_RISK_LEVEL,
        ErrorCode.INVALID_API_KEY,
        ErrorCode.UNSUPPORTED_BROKER,
        ErrorCode.VALIDATION_ERROR,
    ),
    401: (ErrorCode.INVALID_CREDENTIALS, ErrorCode.TOKEN_EXPIRED, ErrorCode.TOKEN_INVALID),
    402: (ErrorCode.SUBSCRIPTION_REQUIRED, ErrorCode.PAYMENT_FAILED),
    403: (
        ErrorCode.UNAUTHORIZED,
        ErrorCode.ACCOUNT_DISABLED,
        ErrorCode.ACCOUNT_SUSPENDED,
        ErrorCode.KILL_SWITCH_ACTIVE,
        ErrorCode.EXCEEDS_TIER_LIMIT,
    ),
    404: (ErrorCode.NOT_FOUND, ErrorCode.POSITION_NOT_FOUND),
    405: (ErrorCode.METHOD_NOT_ALLOWED,),
    409: (
        ErrorCode.EMAIL_ALREADY_EXISTS,
        ErrorCode.ALREADY_RUNNING,
        ErrorCode.BROKER_ALREADY_CONNECTED,
        ErrorCode.IDEMPOTENCY_CONFLICT,
    ),
    413: (ErrorCode.PAYLOAD_TOO_LARGE,),
    429: (ErrorCode.RATE_LIMIT_EXCEEDED,),
    500: (ErrorCode.INTERNAL_ERROR, ErrorCode.DATABASE_ERROR),
    502: (ErrorCode.BROKER_ERROR,),
    503: (ErrorCode.SERVICE_UNAVAILABLE,),
}

HTTP_STATUS: dict[ErrorCode, int] = {code: status for status, codes in _BY_STATUS.items() for code in codes}


class NijaError(Exception):
    """What a caller is told: a code, a sentence that says what happened and what to do, and details.

    `retry_after` (seconds) becomes the header `Retry-After`. `details` never hold a secret.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        details: Mapping[str, object] | None = None,
        *,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details: dict[str, object] = dict(details or {})
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        return HTTP_STATUS[self.code]


def unavailable(message: str, retry_after: int = 1) -> NijaError:
    """A store or service that cannot be reached: 503, try again."""
    return NijaError(ErrorCode.SERVICE_UNAVAILABLE, message, retry_after=retry_after)


class Conflict(Exception):
    """A commit that lost: somebody changed what was read, or a unique value is taken. The handler runs again."""


class SettingsError(Exception):
    """A setting that is wrong or unknown; the text names it and says why."""
