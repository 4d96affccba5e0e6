"""Feeds, signal rows and views for APEX's tests: neutral unless a test says otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from nija_trading.domain.apex.parameters import PROFILES, Limits, Parameters, RiskLevel
from nija_trading.domain.apex.protections import Protections
from nija_trading.domain.apex.signals import SignalRow
from nija_trading.domain.apex.step import AccountView, Rulebook, SymbolClose
from nija_trading.domain.market.candles import Candle
from nija_trading.domain.matching.money import units
from nija_trading.domain.matching.position import PositionState
from nija_trading.domain.matching.terms import FeeSchedule, MarketRules, Venue


class Made:
    """Makers of the values that a decision takes."""

    params = Parameters()

    @staticmethod
    def rules(
        level: RiskLevel = RiskLevel.MEDIUM,
        *,
        taker: float = 0.0,
        limits: Limits | None = None,
        params: Parameters | None = None,
        **market: Any,
    ) -> Rulebook:
        """A rulebook without fees and costs, unless said otherwise."""
        venue = Venue("test", FeeSchedule(taker, taker), MarketRules(**{"market_cost": 0.0, **market}))
        return Rulebook(params or Parameters(), PROFILES[level], limits or Limits(), venue)

    @staticmethod
    def row(**changes: Any) -> SignalRow:
        """A row that asks for a long entry with score 3."""
        neutral: dict[str, Any] = {
            "time_ms": 0,
            "decides": True,
            "direction": 1,
            "score_long": 3,
            "score_short": 0,
            "opposite": False,
            "trend_break": False,
            "denial": None,
            "atr": 1.0,
        }
        return SignalRow(**{**neutral, **changes})

    @classmethod
    def close(cls, symbol: str = "BTC-USD", price: float = 100.0, time_ms: int = 0, **changes: Any) -> SymbolClose:
        """A flat candle's close; `candle`, `spread`, `stale` or parts of the row by keyword."""
        own: dict[str, Any] = {name: changes.pop(name) for name in ("candle", "spread", "stale") if name in changes}
        candle = Candle(time_ms, price, price, price, price, 1.0)
        whole: dict[str, Any] = {"symbol": symbol, "candle": candle, "row": cls.row(**changes), **own}
        return SymbolClose(**whole)

    @staticmethod
    def position(symbol: str = "BTC-USD", **changes: Any) -> PositionState:
        """One coin bought at 100 at time 0, with its stop at 98."""
        neutral: dict[str, Any] = {
            "symbol": symbol,
            "entry_order_id": "e",
            "opened_ms": 0,
            "entry_price": 100.0,
            "entry_quantity": units(1),
            "quantity": units(1),
            "cost": units(100),
            "entry_fee": 0,
            "fees": 0,
            "proceeds": 0,
            "atr_at_signal": 1.0,
            "stop": 98.0,
            "entry_candle_ms": 0,
        }
        return PositionState(**{**neutral, **changes})

    @staticmethod
    def view(*held: PositionState, cash: int = 10_000, **changes: Any) -> AccountView:
        """An account with this cash, these positions, and BTC, ETH, SOL allowed."""
        neutral: dict[str, Any] = {
            "cash": units(cash),
            "positions": {position.symbol: position for position in held},
            "protections": Protections.start(units(cash) + sum(position.cost for position in held)),
            "allowed_pairs": ("BTC-USD", "ETH-USD", "SOL-USD"),
            "marks": {position.symbol: position.entry_price for position in held},
        }
        return AccountView(**{**neutral, **changes})


@pytest.fixture(scope="session")
def made() -> type[Made]:
    """Makers of rulebooks, rows, closes, positions and views."""
    return Made
