"""Rate windows that several gateways share: each draws tokens from a counter in the store and spends them itself.

The store's clock sets the windows; a lease is used up to its end as seen from before it was drawn, so it is
never spent in the next window. While the store is away each gateway spends its share, limit / replicas, and
what it spends is charged once the store is back.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from nija_common.errors import NijaError
from nija_common.storage.port import Draw, Storage
from nija_common.values.clock import Clock
from nija_gateway.adapters.local_windows import SteadyClock
from nija_gateway.domain.windows import Taken, Window

log = structlog.get_logger(__name__)

EXACT_UP_TO = 60
"""Limits up to here are drawn token by token."""
EXACT_BELOW = 0.2
"""So is the last fifth of any window."""
LEASES = 20
"""Else a lease is this part of the limit."""
UNUSED_MS = 1000
LOOK_AGAIN_MS = 1000
"""How long 'there are none left' and 'the store is away' are believed."""
STORE_S = 1.0
TOO_LATE_MS = 3000
"""Nothing is returned this close to the end: a late answer must not refill the next window."""


@dataclass(slots=True)
class _Purse:
    """What this gateway holds of one key's window. Times are steady milliseconds."""

    window: Window
    ends_at: int = 0
    stretch: int = 0
    tokens: int = 0
    used: int = 0
    spent: int = 0
    debt: int = 0
    on_share: bool = False
    none_until: int = 0
    touched_at: int = 0
    limit: int = 0
    waiting: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def begin(self, stretch: int, ends_at: int) -> None:
        """Another stretch of time: what was held of the last one is void."""
        self.ends_at, self.stretch = ends_at, stretch
        self.tokens = self.used = self.spent = self.debt = self.none_until = 0
        self.on_share = False


class SharedWindows:
    """Implements `RateWindows` over `Storage.draw`."""

    def __init__(self, storage: Storage, clock: Clock, replicas: int) -> None:
        self._storage = storage
        self._steady = SteadyClock(clock)
        self._replicas = replicas
        self._purses: dict[tuple[str, str], _Purse] = {}
        self._away_until = 0

    def take(self, window: Window, key: str, limit: int) -> Taken | None:
        now = self._steady.now_ms()
        purse = self._purses.get((window.name, key))
        if purse is None or now >= purse.ends_at:
            return None
        if purse.tokens > 0:
            purse.tokens -= 1
            purse.spent += 1
            purse.debt += purse.on_share
            purse.touched_at = now
            return _taken(purse, limit, now, granted=True)
        if now < purse.none_until:
            return _taken(purse, limit, now, granted=False)
        return None

    async def fetch(self, window: Window, key: str, limit: int) -> None:
        purse = self._purses.setdefault((window.name, key), _Purse(window))
        purse.waiting += 1
        try:
            async with purse.lock:
                now = self._steady.now_ms()
                if now < purse.ends_at and (purse.tokens > 0 or now < purse.none_until):
                    return
                wanted = max(self._lease(purse, limit, now), purse.waiting)
                drawn = await self._draw(window, key, wanted + self._debt(purse, now), limit)
                if drawn is None:
                    self._live_on_share(window, purse, limit)
                else:
                    self._take_in(purse, *drawn)
        finally:
            purse.waiting -= 1

    @staticmethod
    def _debt(purse: _Purse, now: int) -> int:
        return purse.debt if now < purse.ends_at else 0

    @staticmethod
    def _lease(purse: _Purse, limit: int, now: int) -> int:
        left = limit - purse.used if now < purse.ends_at else limit
        if limit <= EXACT_UP_TO or left < limit * EXACT_BELOW:
            return 1
        return limit // LEASES

    async def _draw(self, window: Window, key: str, n: int, limit: int) -> tuple[Draw, int] | None:
        """What the store gave, and when its window ends here; None while it is away."""
        asked_at = self._steady.now_ms()
        if asked_at < self._away_until:
            return None
        try:
            async with asyncio.timeout(STORE_S):
                draw = await self._storage.draw(f"rate/{window.name}/{key}", n, limit, window.length_ms)
        except (NijaError, TimeoutError) as error:
            log.warning("rate_windows_on_share", reason=str(error) or "no answer in time")
            self._away_until = self._steady.now_ms() + LOOK_AGAIN_MS
            return None
        left = min(max(draw.resets_at_ms - draw.now_ms, 0), window.length_ms)
        return draw, asked_at + left

    def _take_in(self, purse: _Purse, draw: Draw, ends_at: int) -> None:
        now = self._steady.now_ms()
        alive = now < purse.ends_at
        if not alive or draw.resets_at_ms != purse.stretch:
            # A stretch that was only estimated while the store was away still owes what was spent in it.
            debt = purse.debt if alive else 0
            purse.begin(draw.resets_at_ms, ends_at)
            purse.debt = debt
        purse.ends_at = min(purse.ends_at, ends_at)
        purse.on_share = False
        charged = min(purse.debt, draw.granted)
        purse.debt -= charged
        purse.tokens = draw.granted - charged
        purse.used, purse.limit, purse.touched_at = draw.used, draw.limit, now
        if purse.tokens == 0:
            purse.none_until = min(purse.ends_at, now + LOOK_AGAIN_MS)

    def _live_on_share(self, window: Window, purse: _Purse, limit: int) -> None:
        """The store is away: limit / replicas less what this gateway has spent already, at least one a window."""
        now = self._steady.now_ms()
        if now >= purse.ends_at:
            purse.begin(-(now // window.length_ms), now + window.length_ms - now % window.length_ms)
        share = max(1, limit // self._replicas)
        purse.tokens = max(0, min(share - purse.spent, limit - purse.used - purse.debt))
        purse.on_share, purse.touched_at = True, now
        if purse.tokens == 0:
            purse.none_until = min(purse.ends_at, now + LOOK_AGAIN_MS)

    def give_back(self, window: Window, key: str, taken: Taken) -> None:
        purse = self._purses.get((window.name, key))
        now = self._steady.now_ms()
        if purse is None or now >= purse.ends_at or purse.stretch != taken.stretch:
            return
        purse.tokens += 1
        purse.spent -= 1
        purse.debt = max(0, purse.debt - purse.on_share)
        purse.touched_at, purse.none_until = now, 0

    def full(self, window: Window, key: str, limit: int) -> Taken | None:
        purse = self._purses.get((window.name, key))
        now = self._steady.now_ms()
        if purse is None or now >= purse.ends_at:
            return None
        allowed = max(1, limit // self._replicas) if purse.on_share else limit
        return _taken(purse, limit, now, granted=False) if purse.used >= allowed else None

    async def count(self, window: Window, key: str, limit: int) -> None:
        purse = self._purses.setdefault((window.name, key), _Purse(window))
        drawn = await self._draw(window, key, 1, limit)
        now = self._steady.now_ms()
        if drawn is not None:
            draw, ends_at = drawn
            purse.begin(draw.resets_at_ms, ends_at)
            purse.used = draw.used
            return
        if now >= purse.ends_at:
            purse.begin(-(now // window.length_ms), now + window.length_ms - now % window.length_ms)
        purse.used += 1
        purse.on_share = True

    async def tidy(self) -> None:
        """Returns what has lain unused for a second, and forgets windows that have ended."""
        now = self._steady.now_ms()
        for place, purse in list(self._purses.items()):
            if now >= purse.ends_at and not purse.waiting:
                del self._purses[place]
            elif purse.tokens and not purse.on_share and now - purse.touched_at >= UNUSED_MS:
                await self._return(place[1], purse)

    async def _return(self, key: str, purse: _Purse) -> None:
        if purse.ends_at - self._steady.now_ms() < TOO_LATE_MS:
            return
        unused, purse.tokens = purse.tokens, 0
        drawn = await self._draw(purse.window, key, -unused, purse.limit)
        if drawn is not None and drawn[0].resets_at_ms == purse.stretch:
            purse.used = drawn[0].used


def _taken(purse: _Purse, limit: int, now: int, *, granted: bool) -> Taken:
    held = purse.tokens if purse.on_share else limit - purse.used + purse.tokens
    remaining = max(0, held) if granted else 0
    return Taken(granted, limit, remaining, purse.ends_at - now, purse.stretch)
