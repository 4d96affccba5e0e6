"""Two runs beside each other: what they were set to differently, their figures, the first trade that differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nija_cli.endings import Failed

IDENTITY = ("strategy", "symbol", "timeframe", "first_candle", "last_candle")
RESULTS = ("bars", "orders", "cash", "final_equity", "return_pct", "drawdown_at_closes_pct", "market_return_pct")
NEEDED: Mapping[str, type | tuple[type, ...]] = {
    "strategy": str,
    "symbol": str,
    "timeframe": str,
    "orders": int,
    "final_equity": (int, float),
    "statistics": dict,
    "trades": list,
}

Document = Mapping[str, Any]


def compare_files(a: Path, b: Path) -> None:
    """Prints the comparison. Raises Failed for a file that is no run's JSON."""
    first, second = read(a), read(b)
    console = Console()
    _print(console, "What they were set to", (a.name, b.name), differences(_set_to(first), _set_to(second)))
    _print(console, "What came of it", (a.name, b.name), figures(first, second))
    console.print(Text(first_difference(first["trades"], second["trades"])))


def read(path: Path) -> Document:
    """A document that `nija backtest --json` wrote. Raises Failed, OSError."""
    try:
        found = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise Failed(f"{path}:{error.lineno}: this is no JSON ({error.msg})") from error
    if not isinstance(found, dict) or any(not isinstance(found.get(name), kind) for name, kind in NEEDED.items()):
        raise Failed(f"{path}: this is not what `nija backtest --json` writes")
    return found


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Rows (name, a, b, "") of what is not the same in both."""
    names = dict.fromkeys((*a, *b))
    return [(name, _text(a.get(name)), _text(b.get(name)), "") for name in names if a.get(name) != b.get(name)]


def figures(a: Document, b: Document) -> list[tuple[str, str, str, str]]:
    """Rows (name, a, b, b - a) of every figure."""
    left = {name: a.get(name) for name in RESULTS} | a["statistics"]
    right = {name: b.get(name) for name in RESULTS} | b["statistics"]
    return [
        (name, _text(left.get(name)), _text(right.get(name)), _difference(left.get(name), right.get(name)))
        for name in dict.fromkeys((*left, *right))
    ]


def first_difference(a: list[Document], b: list[Document]) -> str:
    """The first trade, in the order of their ends, that the other run made otherwise or not at all."""
    for number, (left, right) in enumerate(zip(a, b, strict=False), start=1):
        if left != right:
            parts = "; ".join(
                f"{name} {_text(left.get(name))} / {_text(right.get(name))}"
                for name in dict.fromkeys((*left, *right))
                if name != "exits" and left.get(name) != right.get(name)
            )
            what = parts or "their exits"
            return f"The first trade that differs is number {number} ({left.get('symbol')}): {what}"
    if len(a) != len(b):
        longer, name = (a, "the first") if len(a) > len(b) else (b, "the second")
        trade = longer[min(len(a), len(b))]
        return (
            f"All {min(len(a), len(b)):,} trades of the shorter run are the same; then only {name} has one more: "
            f"{trade.get('symbol')}, opened {trade.get('opened_at')}"
        )
    return f"All {len(a):,} trades are the same."


def _set_to(document: Document) -> dict[str, Any]:
    """What a run was set to, one level deep."""
    return {name: document.get(name) for name in IDENTITY} | dict(_flat(document.get("settings") or {}))


def _flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value)
        else:
            yield name, value


def _print(console: Console, title: str, names: tuple[str, str], rows: list[tuple[str, str, str, str]]) -> None:
    if not rows:
        console.print(Text(f"{title}: no difference."))
        return
    table = Table(title=Text(title), title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(Text(name), justify="right", overflow="fold")
    changed = any(row[3] for row in rows)
    if changed:
        table.add_column("difference", justify="right")
    for row in rows:
        table.add_row(*(Text(cell) for cell in (row if changed else row[:3])))
    console.print(table)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.8g}" if abs(value) < 1 else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _difference(a: Any, b: Any) -> str:
    if isinstance(a, int | float) and isinstance(b, int | float) and a != b:
        return ("+" if b > a else "") + _text(b - a)
    return ""
