"""What a download has fetched so far, on the disk: pages are added as they come, so that a kill loses none of them.

One process at a time holds it; the lock ends with the process, however that ends.
"""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from nija_cli.endings import Failed
from nija_trading.adapters.candle_text import HEADER, parse, text_of
from nija_trading.domain.market.candles import Candle, Candles


class Partial:
    """The file of one download. `candles` are those it began with: whole rows of earlier tries."""

    def __init__(self, path: Path, timeframe_ms: int) -> None:
        self._path = path
        self._timeframe_ms = timeframe_ms
        self._file: BinaryIO = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise Failed(f"{path}: another download of these candles is going on") from None
        self.candles = self._begin()

    def add(self, candles: Sequence[Candle]) -> None:
        """Puts a page behind what is there."""
        rows = Candles.of(self._timeframe_ms, candles)
        self._file.write(text_of(rows).partition(b"\n")[2])
        self._file.flush()

    def all(self) -> Candles:
        """Everything that is in it."""
        self._file.seek(0)
        return parse(self._file.read(), self._timeframe_ms).candles

    def remove(self) -> None:
        """The download is done: the file goes."""
        self._path.unlink()

    def close(self) -> None:
        """Lets another process have it."""
        self._file.close()

    def _begin(self) -> Candles:
        """Whole, sound rows of earlier tries; where there is anything else, none."""
        self._file.seek(0)
        text = self._file.read()
        whole = text[: text.rfind(b"\n") + 1]
        parsed = parse(whole, self._timeframe_ms)
        if parsed.faults:
            whole = f"{HEADER}\n".encode()
            parsed = parse(whole, self._timeframe_ms)
        self._file.truncate(0)
        self._file.write(whole)
        self._file.flush()
        return parsed.candles
