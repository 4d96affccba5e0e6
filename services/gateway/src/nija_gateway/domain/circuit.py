"""When calls to a service are cut off: after failures in a row, and while too many are under way.

Stop buttons pass an open breaker: a call that may fail is better than one that is not made.
"""

from __future__ import annotations

FAILURES = 5
"""Failures in a row that open the breaker."""
OPEN_S = 1.0
"""How long it stays open before one call is let through to look."""
IN_FLIGHT = 512
"""Calls under way at once to one service; more wait nowhere, they are told to come back."""
IN_FLIGHT_URGENT = 128
"""Beyond that, places that only stop buttons take."""


class Circuit:
    """The state of one service's calls. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._failures = 0
        self._closed_until: float | None = None
        self.in_flight = 0

    @property
    def open(self) -> bool:
        """Whether calls are cut off."""
        return self._failures >= FAILURES

    def enter_quietly(self) -> bool:
        """`enter` where nothing has failed and there is room: no look at a clock. False: `enter` decides."""
        if self._failures or self.in_flight >= IN_FLIGHT:
            return False
        self.in_flight += 1
        return True

    def enter(self, now: float, *, urgent: bool) -> bool:
        """Whether a call may be made; each that may is followed by one of `succeeded`, `failed`, `abandoned`."""
        if self.in_flight >= IN_FLIGHT + (IN_FLIGHT_URGENT if urgent else 0):
            return False
        if self.open and not urgent:
            if self._closed_until is not None and now < self._closed_until:
                return False
            self._closed_until = now + OPEN_S
        self.in_flight += 1
        return True

    def succeeded(self) -> bool:
        """The service answered, whatever the status. Whether it had been cut off."""
        self.in_flight -= 1
        if not self._failures:
            return False
        was_open = self.open
        self._failures = 0
        self._closed_until = None
        return was_open

    def failed(self, now: float) -> None:
        """It did not answer, or not to the end."""
        self.in_flight -= 1
        self._failures += 1
        if self.open:
            self._closed_until = now + OPEN_S

    def abandoned(self) -> None:
        """The client left or was at fault: nothing was learned about the service."""
        self.in_flight -= 1
