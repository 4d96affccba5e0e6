"""Open positions: as the read model keeps them, and as a user with a socket sees them move."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Literal, NamedTuple

import orjson

from nija_common.events.trading import PositionChanged, PositionOpened
from nija_common.values.document import Collection, Document, Index
from nija_common.values.frames import text_frame
from nija_common.values.money import Units, price, quantity, units, usd
from nija_common.values.times import iso
from nija_notifier.domain.messages import opening

Market = tuple[str, str]
"""(broker, symbol): what has one price."""


class OpenPosition(Document):
    """One open position as its last event left it. `offset`: of that event in the user's partition of `nija-trading`."""

    collection: ClassVar[Collection] = Collection("open_positions", (Index("by_user", ("user_id", "opened_at_ms")),))

    user_id: str
    offset: int
    symbol: str
    side: Literal["long", "short"]
    broker: str
    paper: bool
    entry_price: float
    quantity: Units
    size_usd: Units
    stop_loss: float | None
    take_profit: float | None
    mark_price: float
    tick: float | None
    protected: bool
    opened_at_ms: int
    at_ms: int

    @property
    def market(self) -> Market:
        return (self.broker, self.symbol)


def open_position(event: PositionOpened | PositionChanged, offset: int, version: int = 0) -> OpenPosition:
    """The document of a position after this event; `version` of the stored one that it replaces."""
    return OpenPosition(
        id=event.position_id,
        version=version,
        user_id=event.user_id,
        offset=offset,
        symbol=event.symbol,
        side=event.side,
        broker=event.broker,
        paper=event.paper,
        entry_price=event.entry_price,
        quantity=units(event.quantity),
        size_usd=units(event.size_usd),
        stop_loss=event.stop_loss,
        take_profit=event.take_profit,
        mark_price=event.mark_price,
        tick=event.tick,
        protected=event.protected,
        opened_at_ms=event.opened_at_ms,
        at_ms=event.at_ms,
    )


_OPENING = opening("position_update", "positions")


class Mark:
    """The last price of a market, and when it was looked at (UTC milliseconds). What it looks like in a message is
    rendered once, however many positions it moves."""

    __slots__ = ("_shown", "at_ms", "exact", "moment", "price")

    def __init__(self, price: float, at_ms: int) -> None:
        self.price = price
        self.at_ms = at_ms
        self.exact = Decimal(repr(price))
        self.moment = iso(at_ms).encode()
        self._shown: dict[float | None, bytes] = {}

    def shown(self, tick: float | None) -> bytes:
        """The price as JSON, to the market's tick."""
        shown = self._shown.get(tick)
        if shown is None:
            shown = self._shown[tick] = orjson.dumps(price(self.price, tick))
        return shown


def unrealized_pnl(side: Literal["long", "short"], entry: Decimal, now: Decimal, held: Units) -> Units:
    """(price now - entry price) x quantity, the other way round for a short; before the exit's fee."""
    pnl = int(((now - entry) * held).to_integral_value())
    return pnl if side == "long" else -pnl


class _Still(NamedTuple):
    """What no price moves, of one state of a position: the JSON before the price and between the result and the time,
    the entry, and what is still held."""

    before: bytes
    after: bytes
    entry: Decimal
    held: Units


class LivePosition:
    """A position somebody looks at: its newest state and price, and the frame of both, built when first asked for.

    `followed`: the state came from the bus since somebody looks, so the bus will bring its end too.
    """

    __slots__ = ("_frame", "_still", "closed_at_ms", "followed", "mark", "state")

    def __init__(self, state: OpenPosition, mark: Mark | None, *, followed: bool) -> None:
        self.state = state
        self.mark = Mark(state.mark_price, state.at_ms)
        self.followed = followed
        self.closed_at_ms: int | None = None
        self._frame: bytes | None = None
        self._still: _Still | None = None
        if mark is not None:
            self.price_moved(mark)

    def changed(self, state: OpenPosition, *, followed: bool) -> bool:
        """Takes over a state; False if the one held is as new or newer."""
        self.followed = self.followed or followed
        if self.closed_at_ms is not None or state.offset <= self.state.offset:
            return False
        self.state = state
        self._frame = self._still = None
        self.price_moved(Mark(state.mark_price, state.at_ms))
        return True

    def price_moved(self, mark: Mark) -> bool:
        """Takes over a price; False if the one held is newer."""
        if self.closed_at_ms is not None or mark.at_ms < self.mark.at_ms:
            return False
        self.mark = mark
        self._frame = None
        return True

    def close(self, at_ms: int) -> None:
        """The position is no more: what is told from here on is its end."""
        self.closed_at_ms = at_ms
        self._frame = self._still = None

    def frame(self) -> bytes:
        """The frame `position_update` of the newest state and price."""
        if self._frame is None:
            self._frame = text_frame(self._text())
        return self._frame

    def _text(self) -> bytes:
        """Put together from what the state and the mark have rendered: a price moves every position of its market."""
        still = self._still or self._rendered()
        mark, state = self.mark, self.state
        pnl = unrealized_pnl(state.side, still.entry, mark.exact, still.held)
        pct = round(100 * pnl / state.size_usd, 4) if state.size_usd else 0.0
        moment = mark.moment if self.closed_at_ms is None else iso(self.closed_at_ms).encode()
        return b'%b,"current_price":%b,"unrealized_pnl":%b,"unrealized_pnl_pct":%b,%b,"timestamp":"%b"}}' % (
            still.before,
            mark.shown(state.tick),
            orjson.dumps(usd(pnl)),
            orjson.dumps(pct),
            still.after,
            moment,
        )

    def _rendered(self) -> _Still:
        state, closed = self.state, self.closed_at_ms is not None
        held = 0 if closed else state.quantity
        before = orjson.dumps(
            {
                "position_id": state.id,
                "status": "closed" if closed else "open",
                "symbol": state.symbol,
                "side": state.side,
                "broker": state.broker,
                "paper": state.paper,
                "quantity": quantity(held),
                "size_usd": 0.0 if closed else usd(state.size_usd),
                "entry_price": price(state.entry_price, state.tick),
            }
        )
        after = orjson.dumps(
            {
                "stop_loss": _price_or_none(state.stop_loss, state.tick),
                "take_profit": _price_or_none(state.take_profit, state.tick),
                "protected": state.protected,
                "opened_at": iso(state.opened_at_ms),
            }
        )
        self._still = _Still(_OPENING + before[:-1], after[1:-1], Decimal(repr(state.entry_price)), held)
        return self._still


def _price_or_none(value: float | None, tick: float | None) -> float | None:
    return None if value is None else price(value, tick)
