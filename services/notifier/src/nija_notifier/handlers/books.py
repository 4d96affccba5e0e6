"""Loads the open positions of a user for whom a socket asked, while broadcasts already follow them."""

from __future__ import annotations

from nija_common.events.topics import TRADING
from nija_notifier.deps import Deps
from nija_notifier.domain.hub import Book

CATCH_UP_S = 0.5
"""How long a client waits for its positions to be surely all of them before it is shown those that are known."""


async def load_book(deps: Deps, book: Book) -> bool:
    """Merges the read model into a user's book; whether the book needs no further loading.

    The book has been registered before, so broadcasts since then are in it. What came before them is in the
    read model once that has caught up with the bus; where it has not in time, what is known is shown and the
    answer is False. Raises NijaError while the store cannot be reached.
    """
    complete = await deps.freshness.caught_up(TRADING, book.user_id, CATCH_UP_S)
    states = await deps.positions.of_user(book.user_id)
    deps.hub.book_loaded(book, states, complete=complete, now_ms=deps.clock.now_ms())
    return not deps.hub.wanted(book)
