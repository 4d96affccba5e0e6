"""What an operator is told of orders and positions: counted after the commit that made it true, and looked at each second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from prometheus_client import Gauge

from nija_common.telemetry import metrics
from nija_trading.domain.desk import Desk
from nija_trading.domain.records import Order
from nija_trading.handlers.memory import Bot

UNKNOWN_AFTER_MS = 5_000
"""An intent leaves within 2 s of its commit or never: one that is older than this has been lost sight of."""

Venue = tuple[str, str]
"""Broker, and `paper` or `live`."""


def venue_of(order: Order) -> Venue:
    return order.broker, "paper" if order.paper else "live"


def answered(orders: Sequence[Order], now_ms: int) -> None:
    """These have an outcome now, and it has been committed. `now_ms`: the worker's clock, beside the store's."""
    for order in orders:
        metrics.ORDERS.labels(*venue_of(order), order.state).inc()
        metrics.ORDER_SECONDS.labels(*venue_of(order)).observe(max(0, now_ms - order.created_at_ms) / 1000)


def broker_failed(order: Order) -> None:
    """This one could not be sent or looked up; it is tried again."""
    metrics.BROKER_FAILURES.labels(*venue_of(order)).inc()


def look_at(bots: Iterable[Bot], now_ms: int) -> None:
    """Sets the gauges of a worker: what its bots have lost sight of, and what they hold without its stop."""
    unknown: Counter[Venue] = Counter()
    unprotected: Counter[Venue] = Counter()
    for bot in bots:
        # Who rests holds nothing and waits for nothing.
        if bot.memory is None or bot.memory is bot.rests:
            continue
        for desk in bot.memory.desks.values():
            venue = (desk.ledger.broker, "paper" if desk.ledger.paper else "live")
            unknown[venue] += sum(_unknown(order, now_ms) for order in desk.orders.values())
            unprotected[venue] += sum(not _protected(desk, symbol) for symbol in desk.positions)
    _set(metrics.UNKNOWN_ORDERS, unknown)
    _set(metrics.UNPROTECTED_POSITIONS, unprotected)


def _unknown(order: Order, now_ms: int) -> bool:
    late = order.state == "submitting" and now_ms - order.created_at_ms > UNKNOWN_AFTER_MS
    return late or order.state == "unknown"


def _protected(desk: Desk, symbol: str) -> bool:
    """Whether the stop that was decided rests at the broker. A position that was decided to have none is its owner's."""
    decided = desk.positions[symbol].state["stop"]
    held = desk.book.holdings.get(symbol)
    at_broker = None if held is None or held.stop is None else held.stop.price
    return decided is None or at_broker == decided


def _set(gauge: Gauge, found: Counter[Venue]) -> None:
    """Only venues that some bot here has a ledger of, at 0 where all is well."""
    gauge.clear()
    for venue, count in found.items():
        gauge.labels(*venue).set(count)
