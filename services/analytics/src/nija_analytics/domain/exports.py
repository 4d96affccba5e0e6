"""Exports: which rows a file has, how it is called, and the signed link that opens it for an hour.

How a row looks is in `export_rows.py`. A link is whoever's who has it; without the signature a name opens nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal
from urllib.parse import urlencode

from nija_common.values.document import Collection, Document, Index
from nija_common.values.times import DAY_MS, day_of

DataType = Literal["trades", "positions", "performance"]
Format = Literal["csv", "json"]

VALID_MS = 3_600_000
KEPT_MS = VALID_MS + 600_000
"""A download that began in the last moment can still be finished before the file is deleted."""
LINK_PURPOSE = "export links"


class Export(Document):
    """One file. Id: its name. It is noted before it is written, so that what a crash leaves is deleted as well."""

    collection: ClassVar[Collection] = Collection(
        "exports", (Index("by_expiry", ("expires_at_ms",)), Index("by_user", ("user_id", "expires_at_ms")))
    )
    user_id: str
    data_type: DataType
    format: Format
    created_at_ms: int
    expires_at_ms: int
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an export is to hold: rows of one ledger opened in a half-open span (UTC milliseconds; None is unbounded)."""

    data_type: DataType
    format: Format
    from_ms: int | None
    to_ms: int | None
    include_closed: bool
    include_open: bool


def file_name(wanted: Wanted, export_id: str) -> str:
    """`trades_2026-01-01_2026-01-31_exp_….csv`: what and when for people, the id so that no two are the same."""
    parts: list[str] = [wanted.data_type]
    if wanted.from_ms is not None:
        parts.append(day_of(wanted.from_ms))
    if wanted.to_ms is not None:
        parts.append(day_of(max(wanted.to_ms - 1, 0)))
    return f"{'_'.join([*parts, export_id])}.{wanted.format}"


def days_of(wanted: Wanted) -> tuple[int | None, int | None]:
    """The whole UTC days that a span touches: the first, and the one after the last."""
    first = None if wanted.from_ms is None else wanted.from_ms // DAY_MS
    end = None if wanted.to_ms is None else -(-wanted.to_ms // DAY_MS)
    return first, end


class Links:
    """Makes and checks links: HMAC-SHA256 over the name and the second it expires. Its `repr` shows no key.

    `key` is asked at each use: after a change of the platform's key links that were given before are refused.
    """

    def __init__(self, key: Callable[[], bytes], public_url: str) -> None:
        self._key = key
        self._public_url = public_url.rstrip("/")

    def __repr__(self) -> str:
        return f"Links({self._public_url!r})"

    def of(self, name: str, expires_at_ms: int) -> str:
        """The link, valid until that moment (to the second)."""
        expires = str(expires_at_ms // 1000)
        query = urlencode({"expires": expires, "signature": self._signature(name, expires)})
        return f"{self._public_url}/exports/{name}?{query}"

    def valid(self, name: str, expires: str, signature: str, now_ms: int) -> bool:
        """Whether the link is one of ours and has not expired. How long that takes says nothing of the signature."""
        ours = self._signature(name, expires).encode()
        return hmac.compare_digest(ours, signature.encode()) and now_ms < int(expires) * 1000

    def _signature(self, name: str, expires: str) -> str:
        return hmac.digest(self._key(), f"{expires}\n{name}".encode(), hashlib.sha256).hex()
