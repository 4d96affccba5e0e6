"""One line a request, written many at a time: for an edge where the logging library's own path costs more than the request.

The lines look as those of `logging.py` do and obey the same level; they are at most `FLUSH_S` late. Whoever uses this
names each field, so nothing has to be looked through for secrets but what a client chose: its request id.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time

import orjson

from nija_common.telemetry.logging import redacted

FLUSH_S = 0.05
MOST_LINES = 256
"""A burst is written before its time comes, so that it takes no memory to speak of."""


class AccessLog:
    """Writes to standard error, as all logs do."""

    def __init__(self, name: str = "nija.access") -> None:
        self._name = name
        self._logger = logging.getLogger(name)
        self._lines: list[bytes] = []
        self._flusher: asyncio.TimerHandle | None = None
        self._second = (0, "")

    @property
    def enabled(self) -> bool:
        """Whether lines are wanted."""
        return self._logger.isEnabledFor(logging.INFO)

    def write(self, line: dict[str, object], at_ns: int) -> None:
        """One request that was answered at `at_ns` of the wall clock; `request_id` is all in it that a client chose."""
        if "eyJ" in (request_id := str(line["request_id"])):
            line["request_id"] = redacted(request_id)
        line["event"] = "request"
        line["level"] = "info"
        line["logger"] = self._name
        line["timestamp"] = self._moment(at_ns)
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        if self._flusher is None:
            self._flusher = asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        elif len(self._lines) >= MOST_LINES:
            self.flush()

    def flush(self) -> None:
        """Writes what there is; to be called once more when the process ends."""
        if self._flusher is not None:
            self._flusher.cancel()
            self._flusher = None
        if self._lines:
            lines, self._lines = self._lines, []
            sys.stderr.write(b"".join(lines).decode())
            sys.stderr.flush()

    def _moment(self, at_ns: int) -> str:
        seconds, nanoseconds = divmod(at_ns, 1_000_000_000)
        if seconds != self._second[0]:
            self._second = (seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)))
        return f"{self._second[1]}.{nanoseconds // 1000:06}Z"
