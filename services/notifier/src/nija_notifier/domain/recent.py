"""The trade updates of the last minutes, in this process' memory: what a client that was away for a moment is told first.

Every process reads the same records at the same offsets, so whichever replica a client comes back to has them.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from nija_notifier.domain.trade_updates import TradeUpdate

KEPT_S = 600
KEPT_A_PARTITION = 1_000
"""A bound on memory, whatever happens: at most 24,000 updates."""


class Span(NamedTuple):
    """From the offset `first` on, every trade update of a partition is here; the newest has the offset `newest`."""

    first: int
    newest: int


class Recent:
    """Trade updates by partition, in offset order."""

    def __init__(self, kept_s: float = KEPT_S, kept: int = KEPT_A_PARTITION) -> None:
        self._kept_s = kept_s
        self._kept = kept
        self._updates: dict[int, deque[tuple[float, TradeUpdate]]] = {}
        self._spans: dict[int, Span] = {}

    def add(self, update: TradeUpdate, now_s: float) -> bool:
        """Keeps an update; False if it has been here before. `now_s`: monotonic."""
        span = self._spans.get(update.partition)
        if span is not None and update.offset <= span.newest:
            return False
        updates = self._updates.setdefault(update.partition, deque())
        updates.append((now_s, update))
        first = update.offset if span is None else span.first
        while len(updates) > self._kept or updates[0][0] < now_s - self._kept_s:
            first = updates.popleft()[1].offset + 1
        self._spans[update.partition] = Span(first, update.offset)
        return True

    def span(self, partition: int) -> Span | None:
        """What is known of a partition; None before its first trade update."""
        return self._spans.get(partition)

    def after(self, partition: int, user_id: str, offset: int) -> list[TradeUpdate]:
        """The user's updates after that offset, as far as they are here: see `span`."""
        found: list[TradeUpdate] = []
        for _, update in reversed(self._updates.get(partition, ())):
            if update.offset <= offset:
                break
            if update.user_id == user_id:
                found.append(update)
        found.reverse()
        return found
