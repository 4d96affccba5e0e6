"""The paper broker: the port `Broker` over the matching core and the durable paper book of the desk.

Its answer is recorded in the same commit as the book that it changed, so what the book does not know was never sent.
"""

from __future__ import annotations

from nija_trading.domain.brokering import Reply, look_up_on_paper, submit_on_paper
from nija_trading.domain.desk import Desk
from nija_trading.domain.matching.terms import VENUES
from nija_trading.domain.records import Order


class PaperBroker:
    """Fills at marks at once, rests everything else until the next open."""

    async def submit(self, desk: Desk, order: Order) -> Reply:
        return submit_on_paper(desk.book, VENUES[order.broker], order)

    async def look_up(self, desk: Desk, order: Order) -> Reply | None:
        return look_up_on_paper(desk.book, order)

    async def cash(self, desk: Desk) -> int | None:
        """Of the durable book, as it was read with the desk: a fill and its cash are one commit."""
        return desk.book.cash
