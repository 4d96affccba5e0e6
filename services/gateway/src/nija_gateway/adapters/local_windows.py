"""Rate windows counted in this process: exact for one gateway, which is all there is on the embedded platform."""

from __future__ import annotations

from nija_common.values.clock import Clock
from nija_gateway.domain.windows import Counts, Taken, Window


class SteadyClock:
    """Starts at wall time, then only counts: wall-clock jumps neither refill a window nor lengthen one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall_ms = clock.now_ms()
        self._monotonic = clock.monotonic()

    def now_ms(self) -> int:
        return self._wall_ms + int((self._clock.monotonic() - self._monotonic) * 1000)


class LocalWindows:
    """Implements `RateWindows`; a window that nobody has used yet is simply unused, so nothing is ever fetched."""

    def __init__(self, clock: Clock) -> None:
        self._steady = SteadyClock(clock)
        self._counts = Counts()

    def take(self, window: Window, key: str, limit: int) -> Taken | None:
        return self._counts.take(window, key, limit, self._steady.now_ms())

    async def fetch(self, window: Window, key: str, limit: int) -> None:
        return

    def give_back(self, window: Window, key: str, taken: Taken) -> None:
        self._counts.give_back(window, key, taken, self._steady.now_ms())

    def full(self, window: Window, key: str, limit: int) -> Taken | None:
        look = self._counts.look(window, key, limit, self._steady.now_ms())
        return None if look.granted else look

    async def count(self, window: Window, key: str, limit: int) -> None:
        self._counts.add(window, key, self._steady.now_ms())

    async def tidy(self) -> None:
        return
