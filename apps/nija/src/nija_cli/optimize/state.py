"""The state of a search: a file with a line for each point that was run, so that a second search goes on behind it.

A line's key is a hash of all that its figures depend on, so searches over other candles, costs or rules can share a file
without meeting. The last line may be cut off (the process was killed): it is left out and overwritten. The file belongs
to one search at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import orjson

from nija_cli.backtest.strategies import Plan
from nija_cli.endings import Failed
from nija_cli.optimize.windows import Window
from nija_cli.optimize.work import Record
from nija_trading.domain.market.candles import Candles

FORMAT = 1
"""Of a line, and of what is computed: another number, and nothing kept before is used."""
_HEAD = {"nija_optimize": FORMAT}


def content_of(feeds: Mapping[str, Candles]) -> dict[str, str]:
    """A hash of each symbol's candles."""
    found = {}
    for symbol, candles in feeds.items():
        digest = hashlib.sha256(str(candles.timeframe_ms).encode())
        for column in (candles.time_ms, candles.open, candles.high, candles.low, candles.close, candles.volume):
            digest.update(column.tobytes())
        found[symbol] = digest.hexdigest()
    return found


def common_of(feeds: Mapping[str, Candles], windows: tuple[Window, ...], source: str | None) -> dict[str, Any]:
    """What all points of a search depend on; `source` is the text of the user's own strategy."""
    return {
        "format": FORMAT,
        "version": version("nija"),
        "candles": list(content_of(feeds).items()),
        "windows": [tuple(window) for window in windows],
        "source": None if source is None else hashlib.sha256(source.encode()).hexdigest(),
    }


def key_of(common: Mapping[str, Any], plan: Plan) -> str:
    """The key of a point's line."""
    whole = {"common": common, "strategy": plan.strategy, "settings": plan.settings, "cash": plan.cash}
    return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()


class State:
    """What a state file holds, and the file, open for more."""

    def __init__(self, path: Path, file: IO[bytes], known: dict[str, Record]) -> None:
        self.path = path
        self.known = known
        self._file = file

    def add(self, key: str, record: Record) -> None:
        """Keeps a record; it is on the disk's side of this process when this returns. Raises OSError."""
        self.known[key] = record
        self._file.write(orjson.dumps({"key": key, "record": record.plain()}) + b"\n")
        self._file.flush()


@contextmanager
def opened(path: Path) -> Iterator[State]:
    """The state of a file, which is made where there is none. Raises Failed for a file of another kind, or in use."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(f"{path}: another search is using it; wait for it, or name another --state") from None
        known, end = _read(path, file.read())
        file.seek(end)
        file.truncate()
        if end == 0:
            file.write(orjson.dumps(_HEAD) + b"\n")
            file.flush()
        yield State(path, file, known)


def _read(path: Path, data: bytes) -> tuple[dict[str, Record], int]:
    """(the records, how many bytes of the file are whole lines)."""
    lines = data.splitlines(keepends=True)
    known: dict[str, Record] = {}
    end = 0
    for number, line in enumerate(lines):
        try:
            if not line.endswith(b"\n"):
                raise ValueError("the line is cut off")
            values = orjson.loads(line)
            if number == 0:
                if "nija_optimize" not in values:
                    raise KeyError("nija_optimize")
            else:
                known[values["key"]] = Record.from_plain(values["record"])
        except (ValueError, KeyError, TypeError) as error:
            if number < len(lines) - 1 or not _may_be_ours(number, line):
                raise Failed(
                    f"{path}:{number + 1}: this is no line of a search's state; name another --state"
                ) from error
            break
        end += len(line)
    return known, end


def _may_be_ours(number: int, line: bytes) -> bool:
    """Whether a damaged last line can be overwritten: any behind the head, and a head that is cut off."""
    return number > 0 or orjson.dumps(_HEAD).startswith(line)
