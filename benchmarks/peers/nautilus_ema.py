"""An EMA cross in NautilusTrader. Runs in a venv of its own: `python nautilus_ema.py CSV ROUNDS`.

A fixed quantity instead of all cash; what is measured is the engine's run alone, with its data loaded before.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from decimal import Decimal
from typing import Any

import pandas as pd
from nautilus_trader.backtest.engine import (  # type: ignore[import-not-found]
    BacktestEngine,
    BacktestEngineConfig,
)
from nautilus_trader.config import LoggingConfig, StrategyConfig  # type: ignore[import-not-found]
from nautilus_trader.indicators import ExponentialMovingAverage  # type: ignore[import-not-found]
from nautilus_trader.model.currencies import USDT  # type: ignore[import-not-found]
from nautilus_trader.model.data import BarType  # type: ignore[import-not-found]
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide  # type: ignore[import-not-found]
from nautilus_trader.model.identifiers import Venue  # type: ignore[import-not-found]
from nautilus_trader.model.objects import Money  # type: ignore[import-not-found]
from nautilus_trader.persistence.wranglers import BarDataWrangler  # type: ignore[import-not-found]
from nautilus_trader.test_kit.providers import TestInstrumentProvider  # type: ignore[import-not-found]
from nautilus_trader.trading.strategy import Strategy  # type: ignore[import-not-found]

FAST, SLOW, CASH = 10, 20, 1_000_000
INSTRUMENT = TestInstrumentProvider.btcusdt_binance()
BAR_TYPE = BarType.from_str(f"{INSTRUMENT.id}-1-HOUR-LAST-EXTERNAL")


class Cross(Strategy):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(StrategyConfig(strategy_id="CROSS-1"))
        self.fast, self.slow = ExponentialMovingAverage(FAST), ExponentialMovingAverage(SLOW)
        self.amount = INSTRUMENT.make_qty(Decimal("0.1"))

    def on_start(self) -> None:
        self.register_indicator_for_bars(BAR_TYPE, self.fast)
        self.register_indicator_for_bars(BAR_TYPE, self.slow)
        self.subscribe_bars(BAR_TYPE)

    def on_bar(self, bar: Any) -> None:
        if not self.indicators_initialized():
            return
        above = self.fast.value > self.slow.value
        if above and self.portfolio.is_flat(INSTRUMENT.id):
            self.submit_order(self.order_factory.market(INSTRUMENT.id, OrderSide.BUY, self.amount))
        elif not above and self.portfolio.is_net_long(INSTRUMENT.id):
            self.close_all_positions(INSTRUMENT.id)

    def on_reset(self) -> None:
        self.fast.reset()
        self.slow.reset()


def main() -> None:
    warnings.simplefilter("ignore")
    table = pd.read_csv(sys.argv[1], index_col="timestamp_ms")
    table.index = pd.to_datetime(table.index, unit="ms", utc=True)
    bars = BarDataWrangler(BAR_TYPE, INSTRUMENT).process(table)
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(Venue("BINANCE"), OmsType.NETTING, AccountType.CASH, [Money(CASH, USDT)])
    engine.add_instrument(INSTRUMENT)
    engine.add_data(bars)
    engine.add_strategy(Cross())
    taken = []
    for _ in range(int(sys.argv[2]) + 1):
        engine.reset()
        started = time.perf_counter()
        engine.run()
        taken.append(time.perf_counter() - started)
    print(json.dumps({"bars": len(bars), "seconds": taken, "orders": engine.cache.orders_total_count(), "final": None}))


if __name__ == "__main__":
    main()
