"""Which headers go inward and which come back out."""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from opentelemetry import propagate

from nija_common.http.request_context import CLIENT_ADDRESS_HEADER, REQUEST_ID_HEADER, sane_request_id
from nija_gateway.domain.windows import Taken
from nija_gateway.ports import RawHeaders

_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_INWARD_DROPPED = _HOP_BY_HOP | {b"expect", b"forwarded", b"x-real-ip", b"traceparent", REQUEST_ID_HEADER}
_INWARD_PREFIXES = (b"x-nija-", b"x-forwarded-")
_NOT_BY_CONNECTION = frozenset((b"host", b"content-length", b"content-type", b"authorization", b"close", b"keep-alive"))
"""What `Connection` may not take out of a request: services frame and authorise by these."""
_OUTWARD_DROPPED = _HOP_BY_HOP | {b"date", b"server", REQUEST_ID_HEADER}
_OUTWARD_PREFIXES = (b"x-nija-", b"x-ratelimit-")
_SIFTED = _INWARD_DROPPED | {b"authorization", b"content-length"}
_NAMES_NOTHING = (b"keep-alive", b"close")
"""Values of `Connection` that take no other header with them."""
_CLIENT_ADDRESS = CLIENT_ADDRESS_HEADER.encode()
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(slots=True)
class Inbound:
    """What the edge needs of a request's headers, read in one pass."""

    authorization: str | None = None
    content_length: int | None = None
    chunked: bool = False
    expects_continue: bool = False
    traceparent: str | None = None


def read(headers: Iterable[tuple[bytes, bytes]]) -> tuple[Inbound, list[str]]:
    """The request's own headers, and the values of `X-Forwarded-For` in order."""
    found, forwarded = Inbound(), []
    for name, value in headers:
        if name == b"authorization":
            # Two of them could mean one user here and another in a service: neither is believed.
            found.authorization = value.decode("latin-1") if found.authorization is None else ""
        elif name == b"content-length":
            found.content_length = int(value) if value.isdigit() else None
        elif name == b"transfer-encoding":
            found.chunked = True
        elif name == b"expect":
            found.expects_continue = True
        elif name == b"traceparent":
            found.traceparent = value.decode("latin-1")
        elif name == b"x-forwarded-for":
            forwarded.append(value.decode("latin-1"))
    return found, forwarded


def inward(headers: Iterable[tuple[bytes, bytes]], *, request_id: str, address: str, traceparent: str) -> RawHeaders:
    """What a service gets: no hop-by-hop header, nothing only the gateway may say, and what the gateway says."""
    named = _named_by_connection(headers) - _NOT_BY_CONNECTION
    kept = [
        (name, value)
        for name, value in headers
        if name not in _INWARD_DROPPED and name not in named and not name.startswith(_INWARD_PREFIXES)
    ]
    kept.append((REQUEST_ID_HEADER, request_id.encode()))
    kept.append((_CLIENT_ADDRESS, address.encode()))
    kept.append((b"traceparent", traceparent.encode()))
    return kept


class Sifted(NamedTuple):
    """A request's headers read in one pass: what the relay needs of them, and the lines that go inward as they are."""

    lines: list[bytes]
    forwarded: list[str]
    authorization: bytes | None
    content_length: int
    request_id: str | None
    traceparent: str | None


def sift(headers: RawHeaders) -> Sifted | None:
    """The same as `read` and `inward` would find; names come in lower case. None: there is more to them than this pass
    understands."""
    lines: list[bytes] = []
    forwarded: list[str] = []
    authorization = request_id = traceparent = None
    content_length = 0
    for name, value in headers:
        if name in _SIFTED:
            if name == b"authorization":
                # Two of them could mean one user here and another in a service: neither is believed.
                authorization = value if authorization is None else b""
                lines.append(b"authorization: %b\r\n" % value)
            elif name == b"content-length":
                content_length = int(value)
                lines.append(b"content-length: %b\r\n" % value)
            elif name == REQUEST_ID_HEADER:
                request_id = request_id or sane_request_id(value)
            elif name == b"traceparent":
                traceparent = value.decode("latin-1")
            elif name == b"connection":
                if value.lower() not in _NAMES_NOTHING:
                    return None
            elif name == b"transfer-encoding" or name == b"expect":
                return None
        elif not name.startswith(_INWARD_PREFIXES):
            lines.append(b"%b: %b\r\n" % (name, value))
        elif name == b"x-forwarded-for":
            forwarded.append(value.decode("latin-1"))
    return Sifted(lines, forwarded, authorization, content_length, request_id, traceparent)


_outward_starts: dict[bytes, bytes] = {}
"""How the line of a service's header begins, by its name; empty where it stays inside, `_LENGTH` for the length."""
_OUTWARD_STARTS = 512
_LENGTH = b"content-length: "


def outward_lines(headers: RawHeaders) -> tuple[list[bytes], bool]:
    """The lines of `outward`, without the gateway's own, and whether they tell the body's length."""
    lines: list[bytes] = []
    has_length = False
    for name, value in headers:
        start = _outward_starts.get(name)
        if start is None:
            start = _outward_start(name)
        if start:
            lines.append(b"%b%b\r\n" % (start, value))
            has_length = has_length or start is _LENGTH
        elif len(name) == len(b"connection") and value.lower() not in _NAMES_NOTHING and name.lower() == b"connection":
            return outward_lines(outward(headers, []))
    return lines, has_length


def _outward_start(name: bytes) -> bytes:
    lower = name.lower()
    if lower == b"content-length":
        start = _LENGTH
    elif lower in _OUTWARD_DROPPED or lower.startswith(_OUTWARD_PREFIXES):
        start = b""
    else:
        start = lower + b": "
    if len(_outward_starts) >= _OUTWARD_STARTS:
        _outward_starts.clear()
    _outward_starts[name] = start
    return start


def outward(headers: Iterable[tuple[bytes, bytes]], own: RawHeaders) -> RawHeaders:
    """What the client gets: the service's headers without hop-by-hop and internal ones, then the gateway's own."""
    headers = [(name.lower(), value) for name, value in headers]
    named = _named_by_connection(headers) - _NOT_BY_CONNECTION
    kept = [
        (name, value)
        for name, value in headers
        if name not in _OUTWARD_DROPPED and name not in named and not name.startswith(_OUTWARD_PREFIXES)
    ]
    return kept + own


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    return {
        part.strip().lower() for name, value in headers if name == b"connection" for part in value.split(b",") if part
    }


def rate_headers(rate: Taken | None, now_ms: int) -> RawHeaders:
    """The three headers of an authenticated call."""
    if rate is None:
        return []
    return [
        (b"x-ratelimit-limit", b"%d" % rate.limit),
        (b"x-ratelimit-remaining", b"%d" % rate.remaining),
        (b"x-ratelimit-reset", b"%d" % rate.reset_at_s(now_ms)),
    ]


def own_lines(request_id: str, rate: Taken | None, now_ms: int) -> bytes:
    """What the gateway itself says on every answer, as lines."""
    if rate is None:
        return b"x-request-id: %b\r\n" % request_id.encode()
    return b"x-request-id: %b\r\nx-ratelimit-limit: %d\r\nx-ratelimit-remaining: %d\r\nx-ratelimit-reset: %d\r\n" % (
        request_id.encode(),
        rate.limit,
        rate.remaining,
        rate.reset_at_s(now_ms),
    )


class Ids(NamedTuple):
    """What a request is known by: its own id, that of its trace, and the `traceparent` that goes inward."""

    request: str
    trace: str
    traceparent: str


def ids_of(sifted: Sifted, now_ms: int) -> Ids:
    """What the client sent, as far as it is sane, else fresh ones that nobody has to be unable to guess: one draw for all
    of them, at a tenth of the cost of `new_id`."""
    fresh = f"{random.getrandbits(248):062x}"
    request = sifted.request_id or f"req_{now_ms:012x}{fresh[:14]}"
    sent = sifted.traceparent
    if sent is not None and _TRACEPARENT.fullmatch(sent):
        trace, flags = sent[3:35], sent[53:]
    else:
        trace, flags = fresh[14:46], "01"
    return Ids(request, trace, f"00-{trace}-{fresh[46:]}-{flags}")


def trace_of(sent: str | None) -> str:
    """The trace that goes inward: the current span's, else the client's, else a new one (not sampled)."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    if "traceparent" in carrier:
        return carrier["traceparent"]
    if sent is not None and _TRACEPARENT.fullmatch(sent):
        return sent
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
