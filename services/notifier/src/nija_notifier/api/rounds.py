"""The rounds in which sockets are given their news: one call of the event loop for all that have some.

A client that has been told nothing for a while is told at the loop's next turn; then its news are collected for
`pause_s`, so many small frames become few writes. A timer for each of a thousand sockets would cost more than what it times.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextvars import copy_context
from typing import Protocol

from nija_common.telemetry.metrics import SOCKET_MESSAGES

COARSE_S = 0.001
_SENT = {kind: SOCKET_MESSAGES.labels(kind) for kind in ("answers", "trades", "positions", "alerts")}


Sent = defaultdict[str, int]
"""Messages by kind."""


class Turn(Protocol):
    """Somebody with news. `not_before`: on the loop's clock, when its pause is over."""

    not_before: float

    def take_turn(self, sent: Sent) -> None:
        """Sends what can be sent without waiting, and counts it. Raises nothing."""
        ...


class Rounds:
    """Of one event loop; all pauses are `pause_s` long."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        # A round is planned by whoever has news, and is no part of their story.
        self._context = copy_context()
        self._next: list[Turn] = []
        self._resting: dict[float, list[Turn]] = {}
        """By the end of the pause, which those who had their turn in one round share."""
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0

    def join(self, turn: Turn) -> None:
        """It has news. Once for each turn that it is given."""
        if not self._next:
            asyncio.get_running_loop().call_soon(self._round, context=self._context)
        self._next.append(turn)

    def pause_from(self, now: float) -> float:
        """When the pause of whoever has a turn now is over."""
        return now + self._pause_s

    def _round(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        turns, self._next = self._next, []
        resting = self._resting
        # A timer may be early by as much as the loop's clock is coarse.
        for end in [end for end in resting if end <= now + COARSE_S]:
            turns += resting.pop(end)
        sent = Sent(int)
        until = self.pause_from(now)
        for turn in turns:
            if turn.not_before > now + COARSE_S:
                resting.setdefault(turn.not_before, []).append(turn)
                continue
            turn.not_before = until
            turn.take_turn(sent)
        count_sent(sent)
        self._set_timer(loop)

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._resting:
            return
        first = min(self._resting)
        if self._timer is not None:
            if self._timer_at <= first:
                return
            self._timer.cancel()
        self._timer, self._timer_at = loop.call_at(first, self._rested, context=self._context), first

    def _rested(self) -> None:
        self._timer = None
        self._round()


def count_sent(sent: Sent) -> None:
    """What has been handed to the server goes into the metrics."""
    for kind, count in sent.items():
        _SENT[kind].inc(count)
