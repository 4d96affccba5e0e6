"""What facts and snapshots of other services become a mail about, in fields of its template.

Amounts and times are words for people already (`wording.py`). Which of a template's sentences stand is the
template's matter.
"""

from __future__ import annotations

from dataclasses import dataclass

from nija_common.events.payments import InvoicePaymentFailed
from nija_common.events.trading import KillSwitchSnapshot, TradeClosed, TradeOpened
from nija_common.values.times import DAY_MS
from nija_notifier.domain import wording

TRADE = "trade"
PAYMENT_FAILED = "payment_failed"
"""Names of templates."""

GLOBAL = "global"
NEWS_MS = DAY_MS
"""How long a trade or a stop is news; a mail that could not be sent by then would only confuse."""
PAYMENT_NEWS_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Notice:
    """One mail's template and fields, and until when it is worth sending (UTC milliseconds)."""

    template: str
    fields: dict[str, str]
    expires_at_ms: int


def trade_opened(event: TradeOpened) -> Notice:
    """A position has been opened."""
    return Notice(
        TRADE,
        {
            **_trade(event),
            "action": "opened",
            "entry_price": wording.price(event.entry_price),
            "when": wording.moment(event.at_ms),
        },
        event.at_ms + NEWS_MS,
    )


def trade_closed(event: TradeClosed) -> Notice:
    """A trade has ended; result and fees are of the whole trade."""
    return Notice(
        TRADE,
        {
            **_trade(event),
            "action": "closed",
            "entry_price": wording.price(event.entry_price),
            "exit_price": wording.price(event.exit_price),
            "pnl": wording.usd_change(event.realized_pnl),
            "pnl_pct": wording.percent_change(event.realized_pnl_pct),
            "reason": wording.words(event.exit_reason),
            "opened": wording.moment(event.opened_at_ms),
            "when": wording.moment(event.closed_at_ms),
        },
        event.closed_at_ms + NEWS_MS,
    )


def _trade(event: TradeOpened | TradeClosed) -> dict[str, str]:
    return {
        "symbol": event.symbol,
        "side": event.side,
        "broker": event.broker,
        "mode": "paper" if event.paper else "live",
        "source": "a TradingView alert" if event.source == "webhook" else "your strategy",
        "quantity": wording.quantity(event.quantity),
        "size": wording.usd(event.size_usd),
        "fees": wording.usd(event.fees),
    }


def payment_failed(event: InvoicePaymentFailed) -> Notice:
    """A payment has failed, so entries are suspended."""
    return Notice(
        PAYMENT_FAILED,
        {
            "plan": f"{event.tier.value.capitalize()}, {event.interval}",
            "amount": wording.cents(event.amount_cents, event.currency),
            "reason": event.reason,
            "invoice": event.invoice_id,
            "when": wording.moment(event.at_ms),
        },
        event.at_ms + PAYMENT_NEWS_MS,
    )


def kill_switch(event: KillSwitchSnapshot) -> Notice:
    """A kill switch has been tripped or released. Who did it is told as `you` or `an administrator`, never by id."""
    return Notice(
        "kill_switch",
        {
            "scope": GLOBAL if event.scope == GLOBAL else "own",
            "state": "tripped" if event.active else "released",
            "by": "you" if event.by == event.scope else "an administrator",
            "reason": event.reason,
            "closing": "yes" if event.close_positions else "no",
            "when": wording.moment(event.at_ms),
        },
        event.at_ms + NEWS_MS,
    )
