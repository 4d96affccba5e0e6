"""What a worker tells of orders, positions, switches and itself: counted once what it says is true, and of real documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

from nija_common.errors import unavailable
from nija_common.testing.measured import measured
from nija_trading import loops
from nija_trading.adapters.paper_broker import PaperBroker
from nija_trading.domain.desk import Desk
from nija_trading.domain.matching.book import move_stop
from nija_trading.domain.matching.orders import Reason
from nija_trading.handlers import watching
from nija_trading.handlers.memory import Bot, Memory
from nija_trading.handlers.pool import Worker
from nija_trading.service import SERVICE
from nija_trading.wiring import build

QUICK = {"NIJA_SPEED": "0.001", "NIJA_TRADING_POLL_MS": "20"}
HERE = {"broker": "coinbase", "mode": "paper"}


class AwayBroker(PaperBroker):
    """Cannot be reached for as long as it is away."""

    def __init__(self) -> None:
        self.away = True

    async def submit(self, desk: Any, order: Any) -> Any:
        if self.away:
            raise unavailable("The broker cannot be reached.")
        return await super().submit(desk, order)


async def as_stored(desk: Any) -> Bot:
    """The account as a worker reads it now."""
    deps = desk.platform.deps("trading-engine")
    account = await deps.store.account(desk.user_id)
    desks = {key: await deps.store.desk(account, key) for key in account.ledgers}
    allowance = await deps.store.allowance(desk.user_id)
    memory = Memory(account, desks, desks, allowance, deps.market)
    return Bot(desk.user_id, cast(Any, None), memory)


def with_stop_at(bot: Bot, price: float) -> Bot:
    """The same account, with its stop at the broker somewhere else."""
    assert bot.memory is not None
    ((key, desk),) = bot.memory.desks.items()
    (symbol,) = desk.positions
    moved: Desk = replace(desk, book=move_stop(desk.book, symbol, price, Reason.STOP_LOSS))
    return Bot(bot.user_id, bot.shard, replace(bot.memory, desks={key: moved}))


async def test_an_order_is_counted_with_its_outcome_and_timed_from_its_decision(engine: Any) -> None:
    filled = measured("nija_orders_total", **HERE, outcome="filled")
    timed = measured("nija_order_seconds_count", **HERE)
    async with engine(**QUICK) as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
        assert measured("nija_orders_total", **HERE, outcome="filled") == filled + 1
        assert measured("nija_order_seconds_count", **HERE) == timed + 1


async def test_an_order_that_cannot_be_sent_is_unknown_after_some_seconds(engine: Any, wait_until: Any) -> None:
    broker = AwayBroker()

    @asynccontextmanager
    async def build_away(settings: Any, platform: Any) -> AsyncIterator[Any]:
        async with build(settings, platform, broker=broker) as deps:
            yield deps

    failures = measured("nija_broker_failures_total", **HERE)

    async def failed() -> bool:
        return measured("nija_broker_failures_total", **HERE) > failures

    async with engine(service=replace(SERVICE, build=build_away), **QUICK) as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await wait_until(failed, "the broker could not be reached")
        bot = await as_stored(desk)
        assert bot.memory is not None
        (order,) = [order for each in bot.memory.desks.values() for order in each.submitting()]
        watching.look_at([bot], order.created_at_ms + watching.UNKNOWN_AFTER_MS)
        assert measured("nija_unknown_orders", **HERE) == 0
        watching.look_at([bot], order.created_at_ms + watching.UNKNOWN_AFTER_MS + 1)
        assert measured("nija_unknown_orders", **HERE) == 1
        broker.away = False
        await desk.positions(1)
        watching.look_at([await as_stored(desk)], order.created_at_ms + 60_000)
        assert measured("nija_unknown_orders", **HERE) == 0


async def test_a_position_whose_stop_is_not_where_it_was_decided_is_unprotected(engine: Any) -> None:
    async with engine(**QUICK) as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
        bot = await as_stored(desk)
        watching.look_at([bot], 0)
        assert measured("nija_unprotected_positions", **HERE) == 0
        watching.look_at([with_stop_at(bot, 1.0)], 0)
        assert measured("nija_unprotected_positions", **HERE) == 1


async def test_the_global_switch_shards_and_bots_are_told_by_the_worker(
    engine: Any, user_of: Any, wait_until: Any
) -> None:
    async def switch_is(value: float) -> bool:
        return measured("nija_kill_switch_active") == value

    async def all_held() -> bool:
        return measured("nija_shards_held") == 24

    async with engine(**QUICK) as desk:
        await desk.settle()
        await desk.start()
        await desk.running()
        await wait_until(all_held, "all shards are held")
        assert measured("nija_bots_running") == 1
        admin = user_of(desk.platform, "usr_root", role="admin")
        body = {"reason": "a test of the alarm", "close_all_positions": False, "notify_users": False}
        answer = await admin.api.post("/api/v1/admin/kill-switch", json=body)
        assert answer.status_code == 200, answer.text
        await wait_until(lambda: switch_is(1), "the switch is told")
        await admin.api.delete("/api/v1/admin/kill-switch?reason=over")
        await wait_until(lambda: switch_is(0), "its release is told")
    assert measured("nija_shards_held") == 0


async def test_a_turn_that_failed_is_counted() -> None:
    async def failing(_worker: Worker) -> float:
        raise unavailable("the store is away")

    before = measured("nija_loop_failures_total", service="trading-engine", loop="worker-steps")
    assert await loops._patiently("steps", failing, cast(Worker, None)) is None
    assert measured("nija_loop_failures_total", service="trading-engine", loop="worker-steps") == before + 1
