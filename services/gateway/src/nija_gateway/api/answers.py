"""Answers of the gateway's own: errors in the envelope, the page at `/`."""

from __future__ import annotations

from collections.abc import Sequence

from nija_common.errors import ErrorCode, NijaError
from nija_common.http.envelope import error_body, error_headers
from nija_gateway.ports import RawHeaders, Send

PAGE = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>NIJA</title></head>
<body><h1>NIJA</h1>
<p>The API lives under <code>/api/v1</code>, live updates at <code>/ws/v1</code>.
Its documentation is at <a href="/docs">/docs</a>.</p></body></html>
"""


async def answer(send: Send, status: int, headers: RawHeaders, body: bytes, *, head: bool = False) -> None:
    """One whole answer; `head` leaves the body out and its length in."""
    if status != 204:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def refuse(send: Send, error: NijaError, headers: RawHeaders, now_ms: int, *, head: bool = False) -> None:
    """An error in the envelope."""
    extra = [(name.lower().encode(), value.encode()) for name, value in error_headers(error).items()]
    headers = [(b"content-type", b"application/json"), *extra, *headers]
    await answer(send, error.status, headers, error_body(error, now_ms), head=head)


def not_found() -> NijaError:
    return NijaError(ErrorCode.NOT_FOUND, "There is nothing at this path.")


def wrong_method(allow: Sequence[str]) -> NijaError:
    return NijaError(ErrorCode.METHOD_NOT_ALLOWED, f"This path takes {', '.join(allow)}.", {"allow": list(allow)})


def too_large(limit: int) -> NijaError:
    return NijaError(
        ErrorCode.PAYLOAD_TOO_LARGE, f"The body is larger than {limit} bytes, the most that is taken.", {"limit": limit}
    )


def too_slow() -> NijaError:
    return NijaError(ErrorCode.VALIDATION_ERROR, "The body did not arrive in time.", {"body": "did not arrive in time"})


def allow_header(allow: Sequence[str]) -> tuple[bytes, bytes]:
    return b"allow", ", ".join(allow).encode()
