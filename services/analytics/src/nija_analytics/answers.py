"""Answers that have been told, kept for as long as they are true.

What is told of a ledger's results changes with the ledger and with the UTC day, and with nothing else: every trade and
every deposit that is counted in a day or a month is counted in the ledger too, in the same unit of work. So an answer
may be given again beside a ledger that was read from the store just now and is, field for field, the one the answer was
made of, on the same day. Who wrote it, and in which process, does not matter. This is no source of anything: an answer
that was dropped is made again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from nija_analytics.domain.aggregates import Ledger

MOST_BYTES = 16 * 1024 * 1024
"""Some two hundred of the longest answers (three years by day), or several thousand usual ones."""

BESIDE_BYTES = 1024
"""What an entry takes beside the answer itself: key, mark and the places in the table."""


@dataclass(frozen=True, slots=True)
class _Kept:
    mark: bytes
    data: bytes


class Answers:
    """Bounded by size; what has not been asked for the longest goes first. For one event loop."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[str, Hashable], _Kept] = OrderedDict()
        self.bytes = 0

    def find(self, ledger: Ledger, day: int, question: Hashable) -> bytes | None:
        """The answer, if it was made of this very ledger on this very day."""
        key = (ledger.id, question)
        kept = self._kept.get(key)
        if kept is None or kept.mark != _mark(ledger, day):
            return None
        self._kept.move_to_end(key)
        return kept.data

    def keep(self, ledger: Ledger, day: int, question: Hashable, data: bytes) -> None:
        """Keeps an answer in place of an earlier one to the same question."""
        key = (ledger.id, question)
        before = self._kept.pop(key, None)
        if before is not None:
            self.bytes -= len(before.data) + BESIDE_BYTES
        self._kept[key] = _Kept(_mark(ledger, day), data)
        self.bytes += len(data) + BESIDE_BYTES
        while self.bytes > self._most_bytes:
            _, dropped = self._kept.popitem(last=False)
            self.bytes -= len(dropped.data) + BESIDE_BYTES


def _mark(ledger: Ledger, day: int) -> bytes:
    """A hash of everything the ledger says and of the day.

    Of all fields, not of `version` alone: a read model that was dropped and built anew begins at version 1 again.
    """
    return hashlib.blake2b(f"{day} {ledger.model_dump_json()}".encode(), digest_size=16).digest()
