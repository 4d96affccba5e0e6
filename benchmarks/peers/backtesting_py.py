"""The EMA cross of bench_backtest.py in backtesting.py. Runs in a venv of its own: `python backtesting_py.py CSV ROUNDS`.

Prices are in millionths of a bitcoin, because positions are whole numbers there.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy  # type: ignore[import-not-found]
from backtesting.lib import crossover  # type: ignore[import-not-found]

FAST, SLOW, FEE, CASH = 10, 20, 0.001, 10_000


def average(values: Any, length: int) -> Any:
    """Seeded with the first close; there is none before bar `SLOW` - 1, so that crosses count from `SLOW` on."""
    column = pd.Series(np.asarray(values)).ewm(span=length, adjust=False).mean().to_numpy().copy()
    column[: SLOW - 1] = np.nan
    return column


class Cross(Strategy):  # type: ignore[misc]
    def init(self) -> None:
        self.fast = self.I(average, self.data.Close, FAST)
        self.slow = self.I(average, self.data.Close, SLOW)

    def next(self) -> None:
        if crossover(self.fast, self.slow):
            self.buy()
        elif crossover(self.slow, self.fast) and self.position:
            self.position.close()


def main() -> None:
    warnings.simplefilter("ignore")
    table = pd.read_csv(sys.argv[1])
    table.index = pd.to_datetime(table.pop("timestamp_ms"), unit="ms")
    table.columns = ["Open", "High", "Low", "Close", "Volume"]
    table[["Open", "High", "Low", "Close"]] /= 1e6
    taken = []
    for _ in range(int(sys.argv[2]) + 1):
        started = time.perf_counter()
        found = Backtest(table, Cross, cash=CASH, commission=FEE).run()
        taken.append(time.perf_counter() - started)
    print(
        json.dumps(
            {
                "bars": len(table),
                "seconds": taken,
                "orders": 2 * int(found["# Trades"]),
                "final": float(found["Equity Final [$]"]),
            }
        )
    )


if __name__ == "__main__":
    main()
