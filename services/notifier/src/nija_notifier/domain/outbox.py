"""What one connection is still to be told: bounded, in order, positions conflated.

Answers and trades keep their order and are never dropped: a reader too slow for them is closed. Of a
position only its newest state waits, however often it moves, so a reader that is merely slow is never behind
by more than what it has not taken yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from nija_notifier.domain.positions import LivePosition

SLOW = 4408


class Closing(NamedTuple):
    """Why a connection ends."""

    code: int
    reason: str


class Origin(NamedTuple):
    """Where a frame comes from: the event, its moment (UTC milliseconds), and the story and the trace that it belongs to."""

    event_id: str
    request_id: str
    time_ms: int
    traceparent: str | None


class Waiting(NamedTuple):
    """A frame that is to be sent, alike for everybody who is told it; `kind` is the metrics' label."""

    kind: str
    frame: bytes
    origin: Origin | None = None


class Outbox:
    """`wake` is called when there is something to send and nothing was before, and at the close; it must not block."""

    __slots__ = ("_frames", "_limit", "_positions", "_size", "_wake", "closing")

    def __init__(self, limit_bytes: int, wake: Callable[[], None]) -> None:
        self._limit = limit_bytes
        self._wake = wake
        self._frames: list[Waiting] = []
        self._positions: dict[str, LivePosition] = {}
        self._size = 0
        self.closing: Closing | None = None

    def say(self, waiting: Waiting) -> None:
        """Adds to the ordered frames. Beyond the bound the connection closes."""
        if self.closing is not None:
            return
        size = self._size + len(waiting.frame)
        if size > self._limit:
            self._frames.clear()
            self._size = 0
            self.close(SLOW, "The connection is too slow for its updates.")
            return
        first = not (self._frames or self._positions)
        self._frames.append(waiting)
        self._size = size
        if first:
            self._wake()

    def move(self, position: LivePosition) -> None:
        """This position has news. Replaces what still waits of it."""
        if self.closing is None:
            first = not (self._positions or self._frames)
            self._positions[position.state.id] = position
            if first:
                self._wake()

    def forget_positions(self) -> None:
        self._positions.clear()

    def close(self, code: int, reason: str) -> None:
        """Nothing more is taken; the ordered frames that wait are sent before the close, positions are not."""
        if self.closing is None:
            self.closing = Closing(code, reason)
            self._positions.clear()
            self._wake()

    def next(self) -> Waiting | None:
        """The next frame to send, rendered only now; None when nothing waits."""
        taken = self.take(1)
        return taken[0] if taken else None

    def take(self, limit_bytes: int) -> list[Waiting]:
        """The next frames to send, positions rendered only now: until they have that many bytes, or nothing waits."""
        taken, size = self._frames, self._size
        if size <= limit_bytes:
            self._frames = []
        else:
            size = count = 0
            while size < limit_bytes:
                size += len(taken[count].frame)
                count += 1
            taken, self._frames = taken[:count], taken[count:]
        self._size -= size
        while self._positions and size < limit_bytes:
            frame = self._positions.pop(next(iter(self._positions))).frame()
            taken.append(Waiting("positions", frame))
            size += len(frame)
        return taken

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not (self._frames or self._positions)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the ordered frames that wait; positions hold none of their own."""
        return self._size

    @property
    def waiting_positions(self) -> int:
        return len(self._positions)
