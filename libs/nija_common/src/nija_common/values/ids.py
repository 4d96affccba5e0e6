"""Ids: a prefix that says of what, then 26 characters that sort by time of making."""

from __future__ import annotations

import hashlib
import secrets
import time
from functools import lru_cache

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def _eight(number: int) -> str:
    """40 bits. Two characters at a time and no loop: the gateway makes an id for each request."""
    return _PAIRS[number >> 30] + _PAIRS[number >> 20 & 1023] + _PAIRS[number >> 10 & 1023] + _PAIRS[number & 1023]


@lru_cache(maxsize=2)
def _moment(now_ms: int) -> str:
    return _PAIRS[now_ms >> 40] + _eight(now_ms & (1 << 40) - 1)


def new_id(prefix: str) -> str:
    """A fresh id such as `usr_01jk…`: 48 bits of milliseconds and 80 random bits (the layout of a ULID)."""
    drawn = secrets.token_bytes(10)
    moment = _moment(time.time_ns() // 1_000_000)
    return f"{prefix}_{moment}{_eight(int.from_bytes(drawn[:5]))}{_eight(int.from_bytes(drawn[5:]))}"


def derived_id(prefix: str, *parts: str) -> str:
    """The same id for the same parts, always: what makes a repeated call harmless."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    number = int.from_bytes(digest[:17]) >> 6
    return f"{prefix}_" + "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
