"""Incarnations: the lives of a store. A restore begins a new one, and what it tells is newer than all that was told before.

`revision` is (incarnation, seq). A restored store has forgotten how far its `seq` had come, and draws the same numbers
again; that the incarnation is higher says that these are other events.
"""

from __future__ import annotations

import time

EPOCH_S = 1_577_836_800
"""2020-01-01. Incarnations are seconds since then, so that two restores of one backup, on machines that know nothing of each
other, are in the order in which they were made."""

SEQ_BITS = 32


def next_incarnation(*known: int | None) -> int:
    """Higher than each of these, and than any that a clock which was right has given before."""
    return max(round(time.time()) - EPOCH_S, *(number + 1 for number in known if number is not None))


def place_in_order(incarnation: int, seq: int) -> int:
    """`seq` as a number that keeps its order over incarnations. In the first it is `seq` itself."""
    return (max(incarnation - 1, 0) << SEQ_BITS) + seq


def incarnation_at(place: int) -> int:
    """The incarnation that a number of `place_in_order` belongs to."""
    return (place >> SEQ_BITS) + 1
