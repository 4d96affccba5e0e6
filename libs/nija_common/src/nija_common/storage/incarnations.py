"""Incarnations: the lives of a store. A restore begins a new one, and what it tells is newer than all that was told before.

`revision` is (incarnation, seq). A restored store has forgotten how far its `seq` had come, and draws the same numbers
again; that the incarnation is higher says that these are other events.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

EPOCH_S = 1_577_836_800
"""2020-01-01. Incarnations are seconds since then, so that two restores of one backup, on machines that know nothing of each
other, are in the order in which they were made."""

SEQ_BITS = 32


def next_incarnation(*known: int | None) -> int:
    """Higher than each of these, and than any that a clock which was right has given before."""
    return max(round(time.time()) - EPOCH_S, *(number + 1 for number in known if number is not None))


def place_of(envelope: Mapping[str, Any]) -> int | None:
    """An event's place among those of its source, topic and key: its `seq`, in order over incarnations.

    In the first incarnation it is `seq` itself. None where the envelope has none.
    """
    seq, revision = envelope.get("seq"), envelope.get("revision")
    if not isinstance(seq, int):
        return None
    incarnation = revision[0] if isinstance(revision, list) and revision and isinstance(revision[0], int) else 1
    return (max(incarnation - 1, 0) << SEQ_BITS) + seq


def missing_between(before: int, place: int) -> tuple[int, int] | None:
    """The first and the last `seq` that are missing between two places, the second later; None if none is.

    What an incarnation begins with is taken as it comes: how far the one before had come, nobody knows any more.
    """
    if place >> SEQ_BITS != before >> SEQ_BITS or place == before + 1:
        return None
    least = (1 << SEQ_BITS) - 1
    return (before & least) + 1, (place & least) - 1
