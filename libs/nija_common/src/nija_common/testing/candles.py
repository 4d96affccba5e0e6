"""Candles for a replayed market in which nothing happens by itself."""

from __future__ import annotations

from pathlib import Path

START_MS = 1_700_000_100_000
SPEED = "300"


def write_calm_candles(folder: Path, bars: int = 20_000) -> Path:
    """BTC-USD rising 0.0001 % a candle: no stop, target or trend break is reached while a test looks on."""
    rows = ["timestamp_ms,open,high,low,close,volume"]
    for i in range(bars):
        opened, close = 10_000 * (1 + i * 1e-6), 10_000 * (1 + (i + 1) * 1e-6)
        high, low = close * 1.0001, opened * 0.9999
        rows.append(f"{START_MS + i * 300_000},{opened:.2f},{high:.2f},{low:.2f},{close:.2f},{5 + i % 3}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "BTC-USD_5m.csv").write_text("\n".join(rows) + "\n")
    return folder


def calm_market(folder: Path) -> list[str]:
    """The options of `nija up` for a market of such candles, a candle a second."""
    return ["--market", "replay", "--candles", str(write_calm_candles(folder)), "--speed", SPEED]
