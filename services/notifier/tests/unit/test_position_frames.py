"""A position's frame, put together from parts, against the whole of it rendered from the figures at once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from nija_common.events.trading import PositionOpened
from nija_common.testing.events import example_of
from nija_common.values.frames import text_in
from nija_common.values.money import price, quantity, usd
from nija_common.values.times import iso
from nija_notifier.domain.positions import LivePosition, Mark, OpenPosition, open_position

prices = st.floats(1e-9, 1e9, allow_nan=False, allow_infinity=False)
states = st.builds(
    lambda **changes: open_position(example_of(PositionOpened), 5).model_copy(update=changes),
    side=st.sampled_from(["long", "short"]),
    entry_price=prices,
    quantity=st.integers(0, 10**17),
    size_usd=st.integers(0, 10**15),
    stop_loss=st.none() | prices,
    take_profit=st.none() | prices,
    tick=st.sampled_from([None, 0.01, 1e-8, 0.5]),
    paper=st.booleans(),
    protected=st.booleans(),
    opened_at_ms=st.integers(0, 2 * 10**12),
    at_ms=st.just(0),
    id=st.text(max_size=5),
    symbol=st.text(max_size=5),
)
marks = st.builds(Mark, prices, st.integers(1, 2 * 10**12))


def whole(state: OpenPosition, mark: Mark, closed_at_ms: int | None) -> bytes:
    """The document of it: everything from the figures."""
    closed = closed_at_ms is not None
    held = 0 if closed else state.quantity
    gain = (Decimal(repr(mark.price)) - Decimal(repr(state.entry_price))) * held
    pnl = int(gain.to_integral_value()) * (1 if state.side == "long" else -1)

    def shown(value: float | None) -> float | None:
        return None if value is None else price(value, state.tick)

    data: dict[str, Any] = {
        "position_id": state.id,
        "status": "closed" if closed else "open",
        "symbol": state.symbol,
        "side": state.side,
        "broker": state.broker,
        "paper": state.paper,
        "quantity": quantity(held),
        "size_usd": 0.0 if closed else usd(state.size_usd),
        "entry_price": shown(state.entry_price),
        "current_price": shown(mark.price),
        "unrealized_pnl": usd(pnl),
        "unrealized_pnl_pct": round(100 * pnl / state.size_usd, 4) if state.size_usd else 0.0,
        "stop_loss": shown(state.stop_loss),
        "take_profit": shown(state.take_profit),
        "protected": state.protected,
        "opened_at": iso(state.opened_at_ms),
        "timestamp": iso(mark.at_ms if closed_at_ms is None else closed_at_ms),
    }
    return orjson.dumps({"type": "position_update", "channel": "positions", "data": data})


@given(states, st.lists(marks, min_size=1, max_size=3), states, st.integers(0, 2 * 10**12))
def test_a_frame_is_the_whole_of_it_through_marks_changes_and_the_end(
    state: OpenPosition, moves: list[Mark], later: OpenPosition, end_ms: int
) -> None:
    position = LivePosition(state, None, followed=True)
    for mark in moves:
        position.price_moved(mark)
        assert text_in(position.frame()) == whole(state, position.mark, None)
    changed = later.model_copy(update={"offset": 6, "id": state.id})
    assert position.changed(changed, followed=True)
    assert text_in(position.frame()) == whole(changed, position.mark, None)
    position.close(end_ms)
    assert text_in(position.frame()) == whole(changed, position.mark, end_ms)


def test_what_a_mark_looks_like_is_rendered_once_for_all_positions_of_its_market() -> None:
    mark = Mark(43_210.126, 1)
    assert mark.shown(0.01) is mark.shown(0.01)
    assert (mark.shown(0.01), mark.shown(None)) == (b"43210.13", b"43210.126")
