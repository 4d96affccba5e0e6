"""What the command line of `nija backtest` asks for, as a value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from nija_cli.endings import WrongUsage


@dataclass(frozen=True, slots=True)
class Options:
    """Amounts in the quote currency, rates as fractions, moments in UTC milliseconds; None leaves it to the default."""

    strategy: str
    candles: tuple[Path, ...]
    folder: Path | None
    symbols: tuple[str, ...]
    timeframe: str | None
    from_ms: int | None
    to_ms: int | None
    cash: float
    broker: str
    fee: float | None
    slippage: float | None
    risk_profile: str | None
    max_position_usd: float | None
    max_positions: int | None
    max_daily_loss_usd: float | None
    max_daily_trades: int | None
    params: tuple[str, ...]

    def __post_init__(self) -> None:
        amounts = {"--cash": self.cash, "--max-position-usd": self.max_position_usd}
        amounts["--max-daily-loss-usd"] = self.max_daily_loss_usd
        for name, value in amounts.items():
            if value is not None and not (math.isfinite(value) and 0 < value <= 1e9):
                raise WrongUsage(f"{name} {value} is no amount; write one above 0, at most 1,000,000,000")
        for name, value in {"--fee": self.fee, "--slippage": self.slippage}.items():
            if value is not None and not 0 <= value < 1:
                raise WrongUsage(f"{name} {value} is no rate; write a fraction from 0 to below 1, such as 0.001")
        for name, count in {"--max-positions": self.max_positions, "--max-daily-trades": self.max_daily_trades}.items():
            if count is not None and count < 1:
                raise WrongUsage(f"{name} {count} allows nothing; write 1 or more")
        if self.from_ms is not None and self.to_ms is not None and self.from_ms >= self.to_ms:
            raise WrongUsage("--from is not before --to; the candle that opens at --to is the first one left out")
