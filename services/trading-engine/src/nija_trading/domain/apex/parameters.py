"""Every constant of APEX V7.2, named, with its default, and the three risk profiles.

Values only: what they mean is in the rules that use them. A backtest may change any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from nija_trading.domain.matching.money import ONE

VERSION = "APEX_V72"


class Smoothing(StrEnum):
    """How RSI, ATR and ADX average: a simple mean of the window, or Wilder's running one."""

    SIMPLE = "simple"
    WILDER = "wilder"


@dataclass(frozen=True, slots=True)
class Parameters:
    """The strategy's constants. Lengths count candles, fractions are of 1, money is in units of 1e-8."""

    # Data
    warm_up: int = 100
    """The how-manieth candle of a feed is the first to decide."""
    live_feed: int = 500
    """Closed candles that a live feed loads before its first decision."""
    candle_age_s: float = 6.0
    """Live orders wait until a candle is this old."""
    stale_candles: int = 2
    """Data older than so many candles opens nothing."""

    # Indicators
    ema_fast: int = 9
    ema_medium: int = 21
    ema_slow: int = 50
    rsi_length: int = 14
    atr_length: int = 14
    adx_length: int = 14
    smoothing: Smoothing = Smoothing.SIMPLE
    macd_fast: int = 12
    macd_slow: int = 26
    macd_signal: int = 9
    vwap_length: int = 100
    volume_short: int = 5
    volume_long: int = 20
    volume_before: int = 2

    # Ties: differences within these count as equal
    tie_price: float = 1e-9
    """Fraction of the close, for EMA, VWAP and MACD histogram."""
    tie_ratio: float = 1e-9
    """For volume ratios."""
    tie_oscillator: float = 1e-7
    """For ADX and RSI."""

    # Smart filters
    smart_volume: float = 0.25
    """Least v20."""
    spread_maximum: float = 0.001
    """Widest spread, where a quote exists."""

    # Market filter
    market_volume: float = 0.50
    """Least v5."""
    trend_adx: float = 20.0
    """ADX above this counts for both sides, whatever the profile's gate."""
    market_count: int = 3
    """Conditions, of 5, that a direction needs at least."""

    # Entry score
    near: float = 0.005
    """Closeness to EMA21 or VWAP, as a fraction of it."""
    rsi_long_low: float = 25.0
    rsi_long_high: float = 45.0
    rsi_short_low: float = 55.0
    rsi_short_high: float = 75.0
    wick_to_body: float = 2.0
    """A hammer's wick is longer than so many bodies."""
    wick_to_range: float = 0.6
    """A hammer's wick is longer than this part of the range."""
    entry_volume: float = 0.60
    """Least v2."""

    # Size
    size_per_point: float = 0.01
    """Fraction of equity for each point of the score: 3, 4, 5 % for 3, 4, 5."""
    minimum_room: float = 0.02
    """Less exposure left than this fraction of equity: no entry."""
    hard_cap_fraction: float = 0.10
    """The platform's own cap on a position, of equity."""
    hard_cap_value: int = 10_000 * ONE
    """The platform's own cap on a position, USD."""

    # Stop
    stop_atr: float = 1.5
    stop_minimum: float = 0.005
    stop_maximum: float = 0.02

    # Take profit
    level_gains: tuple[float, ...] = (0.005, 0.01, 0.02, 0.03)
    level_shares: tuple[float, ...] = (0.10, 0.15, 0.25, 0.50)
    """Shares of what remains."""
    gross_levels: bool = False
    """Read the gains without fees."""

    # Trailing
    trailing_arm: float = 0.01
    trailing_atr: float = 1.5

    # Time
    maximum_hold_hours: float = 48.0

    # Protections
    losing_streak: int = 5
    week_half: float = 0.08
    """Week's loss at which the fraction is multiplied by `week_factor`."""
    week_factor: float = 0.5
    week_stop: float = 0.10
    """Week's loss at which entries end until Monday."""

    def __post_init__(self) -> None:
        gains = list(self.level_gains)
        if len(gains) != len(self.level_shares) or gains != sorted(gains) or min(gains, default=0.0) < 0:
            raise ValueError("level_gains must rise from 0 or more, and each needs its share in level_shares")


class RiskLevel(StrEnum):
    """Names of the risk profiles."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class RiskProfile:
    """What a user's risk level sets. All but score and ADX are fractions."""

    level: RiskLevel
    size_factor: float
    minimum_score: int
    minimum_adx: float
    exposure: float
    """Cap on the total of all positions, of equity."""
    daily_loss: float
    """Loss since the day's base that pauses entries until 00:00 UTC."""
    drawdown: float
    """Loss since the highest close that stops the bot."""


PROFILES: Mapping[RiskLevel, RiskProfile] = {
    RiskLevel.LOW: RiskProfile(RiskLevel.LOW, 0.5, 4, 25.0, 0.40, 0.02, 0.10),
    RiskLevel.MEDIUM: RiskProfile(RiskLevel.MEDIUM, 1.0, 3, 20.0, 0.60, 0.03, 0.15),
    RiskLevel.HIGH: RiskProfile(RiskLevel.HIGH, 1.5, 3, 20.0, 0.80, 0.05, 0.20),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """An account's own limits: the lower of the user's settings and the tier's. None is no limit.

    `position_value` and `daily_loss` in units of 1e-8 of the quote currency.
    """

    position_value: int | None = None
    positions: int | None = None
    daily_trades: int | None = None
    daily_loss: int | None = None
