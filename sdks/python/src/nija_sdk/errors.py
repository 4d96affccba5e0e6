"""What can go wrong in a call: the platform's own codes as classes, and the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class NIJAError(Exception):
    """The base of everything this package raises."""


class ConnectionFailed(NIJAError):
    """No answer came: whether the call took effect is not known. Repeat it with the same idempotency key to be sure."""


class UnexpectedAnswer(NIJAError):
    """The answer is not the platform's: something between here and there has answered instead."""


class APIError(NIJAError):
    """The platform refused or failed.

    `code` is the platform's (such as `ALREADY_RUNNING`), `status` the HTTP status, `details` one entry a field where a
    field was wrong, `retry_after` seconds where the platform named them, `request_id` what its logs call the request.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.details: dict[str, Any] = dict(details or {})
        self.retry_after = retry_after
        self.request_id = request_id


class BadRequest(APIError):
    """400: the request says something that cannot be; `details` names it."""


class AuthenticationFailed(APIError):
    """401: no token, a wrong one, one that has expired or been revoked, or wrong credentials."""


class PaymentRequired(APIError):
    """402: it needs a paid subscription, or the payment failed."""


class PermissionDenied(APIError):
    """403: not for this account: role, tier, suspension, or an active kill switch."""


class NotFound(APIError):
    """404."""


class Conflict(APIError):
    """409: it is already so, or the idempotency key was used for another request."""


class RateLimited(APIError):
    """429: `retry_after` says when to come again."""


class ServerError(APIError):
    """500 and above: the platform or a broker failed; 503 is safe to try again."""


_BY_STATUS: dict[int, type[APIError]] = {
    400: BadRequest,
    401: AuthenticationFailed,
    402: PaymentRequired,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def error_class(status: int) -> type[APIError]:
    """The class of an error's status."""
    return ServerError if status >= 500 else _BY_STATUS.get(status, APIError)
