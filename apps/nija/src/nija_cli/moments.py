"""Days and moments as a command line writes them, and money as a person reads it."""

from __future__ import annotations

from datetime import UTC, datetime

from nija_cli.endings import WrongUsage


def moment_ms(text: str, option: str) -> int:
    """UTC milliseconds of `2021-06-30` (its first moment) or `2021-06-30T12:00[Z]`. Raises WrongUsage."""
    try:
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise WrongUsage(f"{option} {text!r} is no date; write 2021-06-30 or 2021-06-30T12:00 (UTC)") from None


def amount(value: float) -> str:
    """`9,877.11`; amounts below 1 with up to 8 places."""
    if value != 0 and abs(value) < 1:
        return f"{value:.8f}".rstrip("0")
    return f"{value:,.2f}"


def per_cent(value: float | None) -> str:
    """`-12.50 %`; `-` where there is none."""
    return "-" if value is None else f"{value:+,.2f} %"
