"""Parsed candle files, kept by the hash of what the file holds: the same content is parsed once.

A cache and no more: what is missing, cut off, altered or cannot be read or written is parsed again from the file, so
nothing here fails. Entries are whole or absent, also with several processes at once; the oldest ones go.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from pathlib import Path

import numpy as np

from nija_common.storage.whole_files import write_whole
from nija_trading.domain.market.candles import Candles

KEPT = 64
"""Files in the cache, at most."""

_MAGIC = b"nija candles 1\n\0"
_COLUMNS = 6
_WORD = 8


class CandleCache:
    """A folder of parsed files. It is made when something is first put there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, content: bytes, timeframe_ms: int) -> Candles | None:
        """The candles that this content was parsed to; None where that is not known."""
        path = self._path(content, timeframe_ms)
        try:
            stored = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        head = len(_MAGIC) + _WORD
        checksum, columns = stored[len(_MAGIC) : head], stored[head:]
        if not stored.startswith(_MAGIC) or len(columns) % (_COLUMNS * _WORD) or checksum != _checksum(columns):
            return None
        rows = len(columns) // (_COLUMNS * _WORD)
        times = np.frombuffer(columns, "<i8", rows)
        prices = [np.frombuffer(columns, "<f8", rows, offset=rows * _WORD * n) for n in range(1, _COLUMNS)]
        return Candles(timeframe_ms, times, *prices)

    def put(self, content: bytes, candles: Candles) -> None:
        """Keeps what this content was parsed to."""
        columns = (candles.time_ms, candles.open, candles.high, candles.low, candles.close, candles.volume)
        kept = b"".join(column.astype(f"<{column.dtype.kind}8").tobytes() for column in columns)
        with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not the command
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole({self._path(content, candles.timeframe_ms): _MAGIC + _checksum(kept) + kept})
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        entries = sorted(self._folder.glob("*.candles"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in entries[KEPT:]:
            path.unlink(missing_ok=True)

    def _path(self, content: bytes, timeframe_ms: int) -> Path:
        return self._folder / f"{hashlib.sha256(content).hexdigest()}-{timeframe_ms}.candles"


def _checksum(columns: bytes) -> bytes:
    return zlib.crc32(columns).to_bytes(_WORD, "little")
