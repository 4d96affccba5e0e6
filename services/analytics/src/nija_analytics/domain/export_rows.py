"""What an export's rows look like, as CSV (RFC 4180) or as a JSON array of objects with the same fields.

USD to 2 places, quantities to 8, prices as they are, times as UTC text, an empty cell or null where there is nothing.
A cell of text that a spreadsheet would take for a formula gets an apostrophe in front of it; numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import orjson

from nija_analytics.domain.exports import DataType, Format
from nija_analytics.domain.statistics import DayResult
from nija_analytics.domain.trades import PositionRecord, TradeRecord
from nija_common.values.money import Units, quantity, usd
from nija_common.values.times import date_text, iso, iso_or_none

Cell = str | int | float | None
Row = Mapping[str, Cell]

COLUMNS: Mapping[DataType, tuple[str, ...]] = {
    "trades": (
        "trade_id",
        "symbol",
        "side",
        "status",
        "entry_price",
        "exit_price",
        "size_usd",
        "quantity",
        "realized_pnl",
        "realized_pnl_pct",
        "fees",
        "opened_at",
        "closed_at",
        "duration_minutes",
        "exit_reason",
        "broker",
        "source",
        "mode",
    ),
    "positions": (
        "position_id",
        "trade_id",
        "symbol",
        "side",
        "status",
        "entry_price",
        "exit_price",
        "size_usd",
        "quantity",
        "stop_loss",
        "take_profit",
        "realized_pnl",
        "fees",
        "opened_at",
        "closed_at",
        "exit_reason",
        "broker",
        "mode",
    ),
    "performance": ("date", "trades", "wins", "losses", "pnl", "fees", "equity", "mode"),
}

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def trade_row(trade: TradeRecord) -> Row:
    """A trade, net of its fees, as `/account/history` tells it."""
    ended = trade.closed_at_ms is not None
    return {
        "trade_id": trade.id,
        "symbol": trade.symbol,
        "side": trade.side,
        "status": trade.status,
        "entry_price": trade.entry_price,
        "exit_price": trade.exit_price,
        "size_usd": usd(trade.size_usd),
        "quantity": quantity(trade.quantity),
        "realized_pnl": usd(trade.realized_pnl) if ended or trade.realized_pnl else None,
        "realized_pnl_pct": None if trade.realized_pnl_pct is None else round(trade.realized_pnl_pct, 4),
        "fees": usd(trade.fees),
        "opened_at": iso(trade.opened_at_ms),
        "closed_at": iso_or_none(trade.closed_at_ms),
        "duration_minutes": max(0, trade.ended_ms - trade.opened_at_ms) // 60_000 if ended else None,
        "exit_reason": trade.exit_reason,
        "broker": trade.broker,
        "source": trade.source,
        "mode": mode_of(trade.ledger),
    }


def position_row(position: PositionRecord) -> Row:
    """A position as it is, or as it ended."""
    return {
        "position_id": position.id,
        "trade_id": position.trade_id,
        "symbol": position.symbol,
        "side": position.side,
        "status": position.status,
        "entry_price": position.entry_price,
        "exit_price": position.exit_price,
        "size_usd": usd(position.size_usd),
        "quantity": quantity(position.quantity),
        "stop_loss": position.stop_loss,
        "take_profit": position.take_profit,
        "realized_pnl": None if position.realized_pnl is None else usd(position.realized_pnl),
        "fees": None if position.fees is None else usd(position.fees),
        "opened_at": iso(position.opened_at_ms),
        "closed_at": iso_or_none(position.closed_at_ms),
        "exit_reason": position.exit_reason,
        "broker": position.broker,
        "mode": mode_of(position.ledger),
    }


def day_row(result: DayResult, equity: Units, ledger: str) -> Row:
    """A UTC day: what was closed on it, and the realised equity at its end."""
    return {
        "date": date_text(result.day),
        "trades": result.trades,
        "wins": result.wins,
        "losses": result.losses,
        "pnl": usd(result.net),
        "fees": usd(result.fees),
        "equity": usd(equity),
        "mode": mode_of(ledger),
    }


def mode_of(ledger: str) -> str:
    """`paper` or `live`."""
    return ledger.rsplit("/", 1)[1]


class Lines:
    """Turns rows into the bytes of a file, a page at a time: `head`, `page` for each page, `tail`."""

    def __init__(self, data_type: DataType, form: Format) -> None:
        self._columns = COLUMNS[data_type]
        self._csv = form == "csv"
        self._begun = False

    def head(self) -> bytes:
        """What comes before the first row."""
        return _csv_lines([self._columns]) if self._csv else b"["

    def page(self, rows: Sequence[Row]) -> bytes:
        """The rows; empty for none."""
        if self._csv:
            return _csv_lines([[disarmed(row[column]) for column in self._columns] for row in rows])
        lines = [orjson.dumps({column: row[column] for column in self._columns}) for row in rows]
        if not lines:
            return b""
        opening = b",\n" if self._begun else b"\n"
        self._begun = True
        return opening + b",\n".join(lines)

    def tail(self) -> bytes:
        """What comes after the last row."""
        return b"" if self._csv else b"\n]\n"


def disarmed(cell: Cell) -> Cell:
    """Text that no spreadsheet runs: one that begins like a formula gets an apostrophe (OWASP, "CSV Injection")."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _csv_lines(rows: Sequence[Sequence[Cell]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
