"""The clock port: the only way code of ours learns the time or waits.

`SystemClock` is the machine's; `ManualClock` stands still until a test advances it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for what users read, monotonic time for deadlines, and waiting."""

    def now_ms(self) -> int:
        """UTC milliseconds since 1970."""
        ...

    def now(self) -> datetime:
        """The same moment as an aware datetime in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds of a clock that never jumps; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns once `seconds` have passed on this clock."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock under a test's control. Sleepers wake when `advance` passes their moment."""

    def __init__(self, start_ms: int = 1_769_683_320_000) -> None:
        self._wall_ms = start_ms
        self._monotonic = 1_000.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._wall_ms

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._wall_ms / 1000, UTC)

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), waiter))
        await waiter

    def advance(self, seconds: float) -> None:
        """Moves both clocks on and wakes whoever slept until then."""
        self._monotonic += seconds
        self._wall_ms += round(seconds * 1000)
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            waiter = heapq.heappop(self._sleepers)[2]
            if not waiter.done():
                waiter.set_result(None)

    def jump_wall(self, seconds: float) -> None:
        """The wall clock is set to another time (NTP, an operator); monotonic time goes on as before."""
        self._wall_ms += round(seconds * 1000)


async def until(clock: Clock, event: asyncio.Event, seconds: float) -> None:
    """Returns when the event is set, at the latest after `seconds` of the clock."""
    sleeper = asyncio.ensure_future(clock.sleep(seconds))
    waiter = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({sleeper, waiter}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeper.cancel()
        waiter.cancel()
