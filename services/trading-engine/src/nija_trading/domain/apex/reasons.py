"""Why an entry was not made: one enum for every gate, filter, limit and clamp, stored with the decision."""

from __future__ import annotations

from enum import StrEnum


class Denial(StrEnum):
    """Reasons in the order of evaluation: gates, smart filters, market filter, score, protections, size."""

    # gates: set by whoever runs the bot
    KILL_SWITCH = "kill_switch"
    SUSPENDED = "suspended"
    NOT_RUNNING = "not_running"
    PAUSED = "paused"
    SIGNALS_ONLY = "signals_only"
    WARMING_UP = "warming_up"
    STALE_DATA = "stale_data"
    # smart filters
    VOLUME_THIN = "volume_thin"
    SPREAD_WIDE = "spread_wide"
    # market filter
    TREND_WEAK = "trend_weak"
    VOLUME_LOW = "volume_low"
    NO_DIRECTION = "no_direction"
    SHORT_ON_SPOT = "short_on_spot"
    # entry score
    SCORE_LOW = "score_low"
    # what the account holds already
    POSITION_EXISTS = "position_exists"
    ORDER_PENDING = "order_pending"
    # protections and limits
    DRAWDOWN = "drawdown"
    DAILY_LOSS = "daily_loss"
    LOSING_STREAK = "losing_streak"
    WEEK_LOSS = "week_loss"
    DAILY_TRADES = "max_daily_trades"
    POSITIONS = "max_positions"
    # size
    EXPOSURE = "exposure"
    BELOW_MINIMUM = "below_minimum"
    EXIT_BELOW_MINIMUM = "exit_below_minimum"
    INSUFFICIENT_CASH = "insufficient_cash"
