"""The hub against a literal model: whatever order loading, following and reading come in, the end is the truth."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from nija_common.events.payments import InvoicePaymentFailed
from nija_common.events.trading import KillSwitchSnapshot, PositionChanged, PositionClosed, PositionOpened, TradeOpened
from nija_common.security.tokens import Claims
from nija_common.testing.events import example_of
from nija_common.values.frames import text_in
from nija_notifier.domain.alerts import payment_failed
from nija_notifier.domain.hub import Book, Connection, Hub
from nija_notifier.domain.outbox import Outbox
from nija_notifier.domain.positions import Mark, OpenPosition, open_position
from nija_notifier.domain.trade_updates import TradeUpdate

LogEvent = PositionOpened | PositionChanged | PositionClosed


def claims(user_id: str = "usr_a", session_id: str = "ses_1", expires_at: int = 2_000_000_000) -> Claims:
    return Claims(user_id, session_id, "user", 0, expires_at, 1, 1)


def connection(hub: Hub, user_id: str = "usr_a", limit: int = 1_000_000) -> Connection:
    made = Connection(Outbox(limit, lambda: None), 0.0)
    hub.connected(made)
    assert hub.signed_in(made, claims(user_id)) is None
    return made


def trade(number: int, user_id: str = "usr_a", partition: int = 0) -> TradeUpdate:
    """An update of one size, whatever its number below 1,000."""
    return TradeUpdate(example_of(TradeOpened, user_id=user_id), partition, 1_000 + number)


def drained(connection: Connection) -> list[dict[str, Any]]:
    """Everything that waits, as a client that reads it now gets it."""
    found = []
    while (waiting := connection.outbox.next()) is not None:
        found.append(orjson.loads(text_in(waiting.frame)))
    return found


@dataclass
class World:
    """A partition's log, how far the broadcast and the read model have come in it, and a client that watches."""

    log: list[LogEvent] = field(default_factory=list)
    broadcast: int = 0
    applied: int = 0
    stored: dict[str, OpenPosition] = field(default_factory=dict)
    hub: Hub = field(default_factory=Hub)
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked_at: int | None = None
    book: Book | None = None

    def __post_init__(self) -> None:
        self.connection = connection(self.hub)

    def do(self, step: str, chance: random.Random) -> None:
        """One step; `open`, `change` and `close` happen to a position of the moment."""
        if step == "open":
            self.happen(PositionOpened, f"pos_{len(self.log)}")
        elif step in ("change", "close"):
            if alive := self.open_now():
                self.happen(PositionChanged if step == "change" else PositionClosed, chance.choice(alive))
        else:
            getattr(self, step)()

    def open_now(self) -> list[str]:
        closed = {event.position_id for event in self.log if isinstance(event, PositionClosed)}
        return sorted({event.position_id for event in self.log} - closed)

    def happen(self, kind: type[LogEvent], position_id: str) -> None:
        changes = {} if kind is PositionClosed else {"quantity": f"0.{len(self.log) + 1:05}"}
        self.log.append(example_of(kind, user_id="usr_a", position_id=position_id, **changes))

    def follow(self) -> None:
        """One more event reaches the broadcast reader."""
        if self.broadcast == len(self.log):
            return
        event, offset = self.log[self.broadcast], self.broadcast
        self.broadcast += 1
        if isinstance(event, PositionClosed):
            self.hub.position_closed(event.user_id, event.position_id, event.at_ms)
        else:
            self.hub.position_changed(open_position(event, offset))

    def apply(self) -> None:
        """One more event reaches the read model."""
        if self.applied == len(self.log):
            return
        event, offset = self.log[self.applied], self.applied
        self.applied += 1
        if isinstance(event, PositionClosed):
            self.stored.pop(event.position_id, None)
        else:
            self.stored[event.position_id] = open_position(event, offset)

    def subscribe(self) -> None:
        self.book = self.hub.follow(self.connection, "positions")
        self.asked_at = None

    def unsubscribe(self) -> None:
        self.hub.unfollow(self.connection, "positions")
        self.book, self.asked_at = None, None
        self.read()
        self.seen.clear()

    def ask(self) -> None:
        """A load begins: from here on it waits for the read model to reach today's end."""
        if self.book is not None and self.asked_at is None:
            self.asked_at = len(self.log)

    def load(self) -> None:
        """The load ends, whether or not the read model has got there in time."""
        if self.book is None or self.asked_at is None:
            return
        complete = self.applied >= self.asked_at
        self.hub.book_loaded(self.book, list(self.stored.values()), complete=complete, now_ms=0)
        self.asked_at = None

    def read(self) -> None:
        for message in drained(self.connection):
            self.seen[message["data"]["position_id"]] = message["data"]

    def settle(self) -> None:
        """Everything reaches everybody, and a load that began after it ends."""
        for _ in self.log:
            self.follow()
            self.apply()
        self.load()
        self.ask()
        self.load()
        self.read()


STEPS = ("follow", "apply", "ask", "load", "read", "open", "change", "close")


@pytest.mark.parametrize("seed", range(20))
def test_however_loading_and_following_interleave_the_client_ends_up_with_the_truth(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        world = World()
        for _ in range(5):
            for step in chance.choices(STEPS, k=chance.randrange(8)):
                world.do(step, chance)
            world.subscribe()
            for step in chance.choices(STEPS, k=chance.randrange(24)):
                world.do(step, chance)
            world.settle()
            truth = {position_id: state.quantity / 1e8 for position_id, state in world.stored.items()}
            shown = {p: d["quantity"] for p, d in world.seen.items() if d["status"] == "open"}
            assert shown == truth
            world.unsubscribe()


def test_many_moves_of_a_position_wait_as_one_update_at_the_newest_price() -> None:
    hub = Hub()
    slow = connection(hub)
    book = hub.follow(slow, "positions")
    assert book is not None
    hub.book_loaded(book, [], complete=True, now_ms=0)
    opened = example_of(PositionOpened, user_id="usr_a", position_id="pos_1")
    hub.position_changed(open_position(opened, 0))
    for n in range(10_000):
        hub.market_marked(("coinbase", "BTC-USD"), Mark(40_000.0 + n, opened.at_ms + n))
    assert slow.outbox.waiting_positions == 1
    assert [m["data"]["current_price"] for m in drained(slow)] == [49_999.0]


def test_a_reader_too_slow_for_its_trades_is_closed_and_holds_nothing_any_more() -> None:
    hub = Hub()
    slow, quick = connection(hub, limit=10_000), connection(hub)
    for each in (slow, quick):
        hub.follow(each, "trades")
    size = len(trade(0).frame())
    for n in range(40):
        hub.trade(trade(n), 0.0)
        assert slow.outbox.waiting_bytes <= 10_000
        assert (slow.outbox.closing is None) == ((n + 1) * size < 10_000)
    assert slow.outbox.closing is not None
    assert slow.outbox.closing.code == 4408
    assert slow.outbox.next() is None
    assert len(drained(quick)) == 40


def test_alerts_are_never_dropped_either_whoever_is_too_slow_for_them_is_closed() -> None:
    hub = Hub()
    slow = connection(hub, limit=1_000)
    hub.follow(slow, "alerts")
    failed = payment_failed(example_of(InvoicePaymentFailed, user_id="usr_a"))
    for n in range(1, 6):
        hub.alert(failed)
        assert (slow.outbox.closing is None) == (n * len(failed.frame) <= 1_000)
    assert slow.outbox.closing is not None
    assert slow.outbox.closing.code == 4408


def test_alerts_of_one_user_reach_nobody_else_and_those_for_everybody_reach_all() -> None:
    hub = Hub()
    mine, other = connection(hub), connection(hub, "usr_b")
    for each in (mine, other):
        hub.follow(each, "alerts")
    hub.alert(hub.alarms.switch_changed(example_of(KillSwitchSnapshot, scope="usr_a")))
    hub.alert(hub.alarms.switch_changed(example_of(KillSwitchSnapshot, scope="global")))
    assert [m["data"]["scope"] for m in drained(mine)] == ["user", "global"]
    assert [m["data"]["scope"] for m in drained(other)] == ["global"]
    for scope in ("usr_a", "global"):
        hub.alert(hub.alarms.switch_changed(example_of(KillSwitchSnapshot, scope=scope, active=False)))
    assert len(hub.alarms) == 0


def test_a_frame_is_built_once_however_many_tabs_take_it() -> None:
    hub = Hub()
    tabs = [connection(hub) for _ in range(3)]
    for tab in tabs:
        hub.follow(tab, "positions")
    hub.position_changed(open_position(example_of(PositionOpened, user_id="usr_a"), 0))
    frames = [tab.outbox.next() for tab in tabs]
    assert frames[0] is not None
    assert all(frame is not None and frame[1] is frames[0][1] for frame in frames)


def test_a_mark_costs_nothing_for_users_whom_nobody_watches() -> None:
    hub = Hub()
    watcher = connection(hub)
    hub.follow(watcher, "positions")
    hub.position_changed(open_position(example_of(PositionOpened, user_id="usr_a"), 0))
    hub.position_changed(open_position(example_of(PositionOpened, user_id="usr_idle"), 1))
    hub.unfollow(watcher, "positions")
    hub.market_marked(("coinbase", "BTC-USD"), Mark(50_000.0, 2_000_000_000_000))
    assert drained(watcher) == []
    assert not hub.watches_positions("usr_a")


def test_a_short_position_gains_when_the_price_falls() -> None:
    hub = Hub()
    watcher = connection(hub)
    hub.follow(watcher, "positions")
    state = open_position(example_of(PositionOpened, user_id="usr_a", side="short", quantity="2"), 0)
    hub.position_changed(state)
    hub.market_marked(("coinbase", "BTC-USD"), Mark(state.entry_price - 10, state.at_ms))
    assert [m["data"]["unrealized_pnl"] for m in drained(watcher)] == [20.0]
