"""The EMA cross of bench_backtest.py in vectorbt. Runs in a venv of its own: `python vectorbt_ema.py CSV ROUNDS`."""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import pandas as pd
import vectorbt as vbt  # type: ignore[import-not-found]

FAST, SLOW, FEE, CASH = 10, 20, 0.001, 10_000.0


def run(table: pd.DataFrame) -> Any:
    """Decided at the close, traded at the next open."""
    close = table["close"]
    gap = close.ewm(span=FAST, adjust=False).mean() - close.ewm(span=SLOW, adjust=False).mean()
    up, down = (gap > 0) & (gap.shift() <= 0), (gap < 0) & (gap.shift() >= 0)
    up.iloc[:SLOW] = down.iloc[:SLOW] = False
    made = vbt.Portfolio.from_signals(
        close,
        up.shift(fill_value=False),
        down.shift(fill_value=False),
        price=table["open"],
        fees=FEE,
        init_cash=CASH,
        freq="1h",
    )
    return len(made.orders.records), float(made.final_value())


def main() -> None:
    warnings.simplefilter("ignore")
    table = pd.read_csv(sys.argv[1], index_col="timestamp_ms")
    table.index = pd.to_datetime(table.index, unit="ms")
    taken = []
    for _ in range(int(sys.argv[2]) + 1):
        started = time.perf_counter()
        orders, final = run(table)
        taken.append(time.perf_counter() - started)
    print(json.dumps({"bars": len(table), "seconds": taken, "orders": orders, "final": final}))


if __name__ == "__main__":
    main()
