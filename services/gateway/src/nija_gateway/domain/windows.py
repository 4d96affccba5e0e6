"""Rate windows: fixed stretches of time in which a key may take so many tokens.

Times here are *steady* milliseconds: a clock that starts at wall time and then only counts, so that a jump
of the wall clock neither refills a window nor makes one longer. Counts are integers; nothing drifts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Window:
    """A kind of window: its name (what it counts) and its length."""

    name: str
    length_ms: int


MINUTE_MS = 60_000
HOUR_MS = 3_600_000

CALLS = Window("calls", MINUTE_MS)
STOPS = Window("stops", MINUTE_MS)
LOGINS = Window("logins", MINUTE_MS)
OPEN_CALLS = Window("open", MINUTE_MS)
REGISTER_TRIES = Window("register-tries", MINUTE_MS)
REGISTRATIONS = Window("registrations", HOUR_MS)
WEBHOOKS_REFUSED = Window("webhooks-refused", MINUTE_MS)


class Taken(NamedTuple):
    """The answer of a window: whether it gave, and where it stands. `reset_in_ms` is the time until it starts anew.

    `stretch` numbers the stretch of time that was counted, so that a token goes back to where it came from.
    """

    granted: bool
    limit: int
    remaining: int
    reset_in_ms: int
    stretch: int

    @property
    def retry_after_s(self) -> int:
        """Whole seconds to wait, at least 1."""
        return max(1, -(-self.reset_in_ms // 1000))

    def reset_at_s(self, now_ms: int) -> int:
        """The end of the window in Unix seconds, rounded up."""
        return -(-(now_ms + self.reset_in_ms) // 1000)


class RateWindows(Protocol):
    """Where windows are counted: in this process, or shared by all replicas of the gateway."""

    def take(self, window: Window, key: str, limit: int) -> Taken | None:
        """Takes one token. None: nothing is known here, await `fetch` and ask again."""
        ...

    async def fetch(self, window: Window, key: str, limit: int) -> None:
        """Gets tokens, or learns that there are none. Never raises: a store that is away leaves a share."""
        ...

    def give_back(self, window: Window, key: str, taken: Taken) -> None:
        """Undoes one `take`, if its stretch has not ended."""
        ...

    def full(self, window: Window, key: str, limit: int) -> Taken | None:
        """Whether `count` has reached the limit: then where the window stands, else None."""
        ...

    async def count(self, window: Window, key: str, limit: int) -> None:
        """Counts one event that `full` looks at, beyond the limit too."""
        ...

    async def tidy(self) -> None:
        """Returns tokens that were fetched and lie unused."""
        ...


class Counts:
    """Used tokens by (window, key) of the current stretch; a stretch that ends takes all its counts with it."""

    def __init__(self) -> None:
        self._stretches: dict[Window, tuple[int, dict[str, int]]] = {}

    def _used(self, window: Window, now_ms: int) -> dict[str, int]:
        number = now_ms // window.length_ms
        known = self._stretches.get(window)
        if known is None or known[0] != number:
            known = (number, {})
            self._stretches[window] = known
        return known[1]

    def take(self, window: Window, key: str, limit: int, now_ms: int) -> Taken:
        """One token, if fewer than `limit` are used."""
        used = self._used(window, now_ms)
        before = used.get(key, 0)
        granted = before < limit
        if granted:
            used[key] = before + 1
        return self._taken(window, limit, used.get(key, 0), now_ms, granted=granted)

    def look(self, window: Window, key: str, limit: int, now_ms: int) -> Taken:
        """Where the window stands; `granted` says whether there is room. Takes nothing."""
        used = self.used(window, key, now_ms)
        return self._taken(window, limit, used, now_ms, granted=used < limit)

    @staticmethod
    def _taken(window: Window, limit: int, used: int, now_ms: int, *, granted: bool) -> Taken:
        left = window.length_ms - now_ms % window.length_ms
        return Taken(granted, limit, max(0, limit - used), left, now_ms // window.length_ms)

    def add(self, window: Window, key: str, now_ms: int) -> None:
        """Counts one, whatever the limit."""
        used = self._used(window, now_ms)
        used[key] = used.get(key, 0) + 1

    def give_back(self, window: Window, key: str, taken: Taken, now_ms: int) -> None:
        """One less, never below zero, and only in the stretch it was taken in."""
        if taken.stretch != now_ms // window.length_ms:
            return
        used = self._used(window, now_ms)
        before = used.get(key, 0)
        if before > 1:
            used[key] = before - 1
        else:
            used.pop(key, None)

    def used(self, window: Window, key: str, now_ms: int) -> int:
        return self._used(window, now_ms).get(key, 0)
