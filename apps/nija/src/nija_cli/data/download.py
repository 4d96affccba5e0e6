"""`nija data download`: public candles of an exchange into files, page by page, and on from where it was stopped."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nija_cli.data.folder import length_ms, named_files
from nija_cli.data.gaps import gaps, missing
from nija_cli.data.partial import Partial
from nija_cli.data.source import Source
from nija_cli.endings import Failed, WrongUsage
from nija_common.storage.whole_files import write_whole
from nija_common.values.clock import Clock, SystemClock
from nija_common.values.times import iso
from nija_trading.adapters import parquet_files
from nija_trading.adapters.candle_files import CandleFileError, load_file
from nija_trading.adapters.candle_text import text_of
from nija_trading.domain.market.candles import Candles, timeframe_ms

SHOWN_GAPS = 5
_SYMBOL = re.compile(r"[A-Za-z0-9.]+-[A-Za-z0-9.]+")

Progressed = Callable[[int], None]
"""Is told how far a stretch has been asked for: the moment up to which it is known."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be fetched: closed candles that open from `from_ms` (None: behind those there are) to before `to_ms`
    (None: now). `retry_ms`: pause before a call that got no answer is repeated."""

    exchange: str
    symbols: tuple[str, ...]
    timeframe: str
    from_ms: int | None
    to_ms: int | None
    folder: Path
    parquet: bool = False
    base_url: str | None = None
    retry_ms: int = 2_000

    def __post_init__(self) -> None:
        length_ms(self.timeframe)
        for symbol in self.symbols:
            if not _SYMBOL.fullmatch(symbol):
                raise WrongUsage(f"--symbol {symbol!r}: write base and quote currency, such as BTC-USD")


def download(order: Order, clock: Clock | None = None) -> None:
    """Fetches each symbol and says what there is. Raises Failed, WrongUsage, OSError; what was fetched is kept."""
    now_ms = (clock or SystemClock()).now_ms()
    order.folder.mkdir(parents=True, exist_ok=True)
    with closing(Source(order.exchange, order.base_url, order.retry_ms)) as source:
        for symbol in order.symbols:
            source.check(symbol, order.timeframe)
        for symbol in order.symbols:
            _download(order, source, symbol, now_ms)


def _download(order: Order, source: Source, symbol: str, now_ms: int) -> None:
    length = timeframe_ms(order.timeframe)
    end_ms = min(order.to_ms or now_ms, now_ms - length + 1)
    path, there = _there(order, symbol)
    part = Partial(path.with_name(f".{symbol}_{order.timeframe}.{order.exchange}.part"), length)
    with closing(part):
        unusable = 0
        try:
            for start, stop in _stretches(order, there, length, end_ms):
                with _bar(symbol, start, stop, length) as progressed:
                    unusable += _fetch(source, symbol, order.timeframe, (start, stop), part, progressed)
        except (Failed, KeyboardInterrupt) as error:
            reason = "stopped" if isinstance(error, KeyboardInterrupt) else str(error)
            raise Failed(
                f"{symbol}: {reason}. {len(part.all()):,} candles are kept: the same command goes on"
            ) from None
        candles = _joined(there, part.all(), length)
        if not len(candles):
            raise Failed(f"{symbol}: {order.exchange} has no candles of {order.timeframe} in that time")
        _write(path, candles)
        part.remove()
    _tell(path, candles, unusable, order.from_ms)


def _fetch(
    source: Source, symbol: str, timeframe: str, stretch: tuple[int, int], part: Partial, progressed: Progressed
) -> int:
    """Asks for a stretch page by page, from behind what is known of it; how many rows could not be used."""
    length, limit = timeframe_ms(timeframe), source.page_size(symbol)
    start, stop = stretch
    known = part.candles.time_ms
    inside = known[(known >= start) & (known < stop)]
    since = int(inside[-1]) + length if len(inside) else start
    unusable = 0
    while since < stop:
        page = source.page(symbol, timeframe, since, limit)
        unusable += page.unusable
        kept, earliest = [], since
        for candle in page.candles:
            if earliest <= candle.time_ms < stop:
                kept.append(candle)
                earliest = candle.time_ms + length
        if kept:
            part.add(kept)
        since = page.candles[-1].time_ms + length if page.candles else since + limit * length
        progressed(min(since, stop))
    return unusable


def _stretches(order: Order, there: Candles | None, length: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """From when to when candles are missing at the ends of what is there; all of it where there is nothing."""
    if there is None:
        if order.from_ms is None:
            raise WrongUsage("--from is needed: there is no file yet that could go on")
        yield order.from_ms, end_ms
        return
    first, last = int(there.time_ms[0]), int(there.time_ms[-1])
    if order.from_ms is not None and order.from_ms < first:
        yield order.from_ms, first
    yield last + length, end_ms


def _there(order: Order, symbol: str) -> tuple[Path, Candles | None]:
    """The file that is to be written, and its candles where it is there. Raises Failed, WrongUsage."""
    suffix = ".parquet" if order.parquet else ".csv.gz"
    path = order.folder / f"{symbol}_{order.timeframe}{suffix}"
    same = [f.path for f in named_files(order.folder) if (f.symbol, f.timeframe) == (symbol, order.timeframe)]
    others = [other for other in same if other != path]
    if others:
        raise WrongUsage(f"{others[0]} has these candles already; move it away, or choose another --folder")
    if order.parquet:
        _need_parquet()
    try:
        return path, load_file(path, order.timeframe) if same else None
    except CandleFileError as error:
        raise Failed(f"{error}; repair the file or move it away") from error


def _need_parquet() -> None:
    """Raises Failed where Parquet cannot be written, before anything is fetched."""
    if not parquet_files.installed():
        raise Failed(parquet_files.MISSING)


def _joined(there: Candles | None, new: Candles, length: int) -> Candles:
    """What was there and what is new, in order; of two candles that overlap the earlier one stays."""
    rows = {candle.time_ms: candle for candle in new}
    rows |= {candle.time_ms: candle for candle in there or ()}
    kept, earliest = [], 0
    for at in sorted(rows):
        if at >= earliest:
            kept.append(rows[at])
            earliest = at + length
    return Candles.of(length, kept)


def _write(path: Path, candles: Candles) -> None:
    if path.name.endswith(".parquet"):
        parquet_files.write(path, candles)
    else:
        write_whole({path: gzip.compress(text_of(candles), mtime=0)})


@contextmanager
def _bar(symbol: str, start: int, stop: int, length: int) -> Iterator[Progressed]:
    """A progress bar on standard error, in candles."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(symbol, total=max(0, -(-(stop - start) // length)))
        yield lambda until: progress.update(task, completed=-(-(until - start) // length))


def _tell(path: Path, candles: Candles, unusable: int, from_ms: int | None) -> None:
    """What the file holds now, and what is missing in it."""
    first, last = int(candles.time_ms[0]), int(candles.time_ms[-1])
    found = gaps(candles)
    print(f"{path}: {len(candles):,} candles, {iso(first)} to {iso(last)}, {len(found):,} gaps")
    if from_ms is not None and first >= from_ms + candles.timeframe_ms:
        print(f"  the exchange told of nothing before {iso(first)}")
    if unusable:
        print(f"  {unusable:,} rows that cannot be right were left out")
    if found:
        print(f"  {missing(found):,} candles are missing, the longest gaps:")
        for gap in sorted(found, key=lambda gap: -gap.candles)[:SHOWN_GAPS]:
            print(f"    {gap.said(candles.timeframe_ms)}")
