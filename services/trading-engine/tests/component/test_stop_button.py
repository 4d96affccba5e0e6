"""Promise 20: the stop button, global and per user, at 200 alerts a second from many users, and with the bus away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nija_common.bus.port import BusUnavailable
from nija_common.events.trading import KillSwitchSnapshot, TradeCancelled, TradeOpened
from nija_common.runtime.manifest import Service
from nija_common.runtime.platform import Platform
from nija_common.storage.unit_of_work import Work
from nija_common.testing import start_platform
from nija_common.testing.processes import Server
from nija_common.values.clock import SystemClock
from nija_trading.domain.standing import newcomer
from nija_trading.handlers.controls import SETTLE_S
from nija_trading.service import SERVICE
from nija_trading.wiring import build

USERS = 40
ALERTS_A_SECOND = 200
QUICK = {
    "NIJA_MARKET": "replay",
    "NIJA_SPEED": "0.001",
    "NIJA_TRADING_POLL_MS": "20",
    "NIJA_TRADING_ALERTS_PER_MINUTE": "100000",
}
TRIP = {"reason": "drill", "close_all_positions": False, "notify_users": False}


class Crowd:
    """Users with running bots, whose alerts come at a fixed rate whether or not they are answered."""

    def __init__(self, platform: Any, desks: list[Any], keys: list[str]) -> None:
        self.platform = platform
        self.desks = desks
        self.keys = keys
        self.codes: list[int] = []

    async def trade(self, seconds: float, done: asyncio.Event) -> None:
        """Buys and sells in turn, user after user; the rest of the time is kept back once `done` is set."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(int(seconds * ALERTS_A_SECOND)):
                await asyncio.sleep(max(0.0, began + number / ALERTS_A_SECOND - loop.time()))
                if done.is_set():
                    return
                group.create_task(self._alert(number))

    async def _alert(self, number: int) -> None:
        user, turn = number % len(self.desks), number // len(self.desks)
        action = "buy" if turn % 2 == 0 else "sell"
        answer = await self.desks[user].alert(self.keys[user], action, alert_id=f"{user}-{turn}")
        self.codes.append(answer.status_code)

    async def opened(self, user_ids: set[str] | None = None) -> int:
        """How many trades were opened, of everybody or of these."""
        events = await self.platform.emitted(TradeOpened)
        return len([event for event in events if user_ids is None or event.user_id in user_ids])


async def gather_crowd(platform: Any, user_of: Any, settle_users: Any) -> Crowd:
    desks = [user_of(platform, f"usr_{number}") for number in range(USERS)]
    await settle_users(desks)
    keys = [await desk.webhook_key() for desk in desks]
    for desk in desks:
        assert (await desk.start()).status_code == 200
    await asyncio.gather(*(desk.running() for desk in desks))
    return Crowd(platform, desks, keys)


def more_than(crowd: Crowd, count: int) -> Callable[[], Any]:
    async def there() -> bool:
        return await crowd.opened() > count

    return there


async def no_more_than_a_second_later(crowd: Crowd, users: set[str] | None = None) -> None:
    """I3: nothing was opened later than a second after the switch, by the events' own times."""
    switches = {event.scope: event.at_ms for event in await crowd.platform.emitted(KillSwitchSnapshot) if event.active}
    for received in await crowd.platform.received(TradeOpened):
        user_id = received.event.user_id
        if users is None or user_id in users:
            assert received.time_ms <= switches.get(user_id, switches.get("global", 0)) + 1000


async def test_the_global_switch_at_200_alerts_a_second(
    tmp_path: Path, calm_candles: Path, user_of: Any, settle_users: Any, wait_until: Any
) -> None:
    env = {**QUICK, "NIJA_CANDLES": str(calm_candles)}
    async with start_platform(tmp_path / "data", [SERVICE], clock=SystemClock(), env=env) as platform:
        crowd = await gather_crowd(platform, user_of, settle_users)
        done = asyncio.Event()
        traders = asyncio.create_task(crowd.trade(30.0, done))
        await wait_until(more_than(crowd, USERS // 2), "trading goes on", 30.0)
        admin = user_of(platform, "usr_admin", role="admin")
        answer = await admin.api.post("/api/v1/admin/kill-switch", json=TRIP)
        assert answer.status_code == 200, answer.text
        at_answer = await crowd.opened()
        accepted = len(crowd.codes)
        assert not traders.done(), "alerts were still coming when the switch had answered"

        async def refused() -> bool:
            return crowd.codes[accepted:].count(403) >= 20

        await wait_until(refused, "alerts behind the switch are refused", 30.0)
        done.set()
        await traders
        await platform.settled()
        assert await crowd.opened() == at_answer
        await no_more_than_a_second_later(crowd)


async def test_half_of_the_users_stop_at_200_alerts_a_second_and_the_others_trade_on(
    tmp_path: Path, calm_candles: Path, user_of: Any, settle_users: Any, wait_until: Any
) -> None:
    env = {**QUICK, "NIJA_CANDLES": str(calm_candles)}
    async with start_platform(tmp_path / "data", [SERVICE], clock=SystemClock(), env=env) as platform:
        crowd = await gather_crowd(platform, user_of, settle_users)
        done = asyncio.Event()
        traders = asyncio.create_task(crowd.trade(30.0, done))
        await wait_until(more_than(crowd, USERS // 2), "trading goes on", 30.0)
        stopped = crowd.desks[::2]
        names = {desk.user_id for desk in stopped}
        answers = await asyncio.gather(*(d.api.post("/api/v1/trading/emergency-stop", json={}) for d in stopped))
        assert {answer.status_code for answer in answers} == {200}
        theirs, all_ = await crowd.opened(names), await crowd.opened()
        await wait_until(more_than(crowd, all_ + 5), "the others trade on", 30.0)
        done.set()
        await traders
        await platform.settled()
        assert await crowd.opened(names) == theirs
        await no_more_than_a_second_later(crowd, names)


class SilentBus:
    """The bus of a platform whose broker accepts connections and says nothing, or is gone, while `away`."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.away = False
        self.unanswered = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def send(self, messages: Any) -> None:
        if self.away:
            self.unanswered += 1
            await asyncio.Event().wait()
        await self.inner.send(messages)

    @asynccontextmanager
    async def read(self, starts: Any) -> AsyncIterator[Any]:
        if self.away:
            raise BusUnavailable("nobody answers")
        async with self.inner.read(starts) as reader:
            yield reader


def without_bus(buses: list[SilentBus], service: Service) -> Service:
    """The service on such a bus."""

    @asynccontextmanager
    async def build_silent(settings: Any, platform: Platform) -> AsyncIterator[Any]:
        bus: Any = SilentBus(platform.bus)
        buses.append(bus)
        work = Work(platform.storage, bus, platform.clock, platform.service)
        async with service.build(settings, replace(platform, bus=bus, work=work)) as deps:
            yield deps

    return replace(service, build=build_silent)


async def test_with_the_bus_away_a_worker_that_cannot_read_the_latches_opens_nothing_and_the_switch_holds(
    tmp_path: Path, calm_candles: Path, faults: Any, user_of: Any, wait_until: Any, another_worker: Any
) -> None:
    buses: list[SilentBus] = []
    storages: list[Any] = []
    env = {**QUICK, "NIJA_CANDLES": str(calm_candles)}
    api = {"trading-engine": ["api"]}
    worker = without_bus(buses, faults.blind_service(storages))
    served = without_bus(buses, replace(SERVICE, build=build))
    async with (
        start_platform(tmp_path / "data", [served], clock=SystemClock(), env=env, roles=api) as platform,
        another_worker(platform, worker, env),
    ):
        desk = user_of(platform, "usr_a")
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        for bus in buses:
            bus.away = True
        assert (await desk.alert(key, alert_id="opens")).status_code == 200
        await desk.positions(1)
        assert sum(bus.unanswered for bus in buses) > 0, "the wake-up went nowhere"
        assert (await desk.alert(key, "sell", alert_id="closes")).status_code == 200
        await desk.positions(0)

        storages[0].blind = True
        assert (await desk.alert(key, alert_id="meets a blind worker")).status_code == 200
        tried = storages[0].refused

        async def refused() -> bool:
            return bool(storages[0].refused > tried + 3)

        await wait_until(refused, "the worker has tried")
        admin = user_of(platform, "usr_admin", role="admin")
        assert (await admin.api.post("/api/v1/admin/kill-switch", json=TRIP)).status_code == 200
        assert (await desk.api.post("/api/v1/trading/emergency-stop", json={})).status_code == 200
        assert len(await platform.emitted(TradeOpened)) == 1
        storages[0].blind = False

        async def cancelled() -> bool:
            return bool(await platform.emitted(TradeCancelled))

        await wait_until(cancelled, "the alert ends without an order")
        assert [event.reason for event in await platform.emitted(TradeCancelled)] == ["kill_switch"]
        assert len(await platform.emitted(TradeOpened)) == 1


async def known_to(platform: Any, *desks: Any) -> None:
    """Their standing, written into the read model: nobody else's outbox is relayed in this process."""
    work = platform.deps("trading-engine").work
    uow = work.open()
    uow.save(*(newcomer(desk.user_id, platform.clock.now_ms()) for desk in desks))
    await work.commit(uow)


async def test_with_kafka_frozen_both_switches_answer_and_hold(
    tmp_path: Path, calm_candles: Path, private_kafka: Server, namespace: str, user_of: Any, wait_until: Any
) -> None:
    env = {
        **QUICK,
        "NIJA_CANDLES": str(calm_candles),
        "NIJA_BUS": "kafka",
        "NIJA_KAFKA_BOOTSTRAP": f"127.0.0.1:{private_kafka.port}",
        "NIJA_NAMESPACE": namespace,
    }
    async with start_platform(tmp_path / "data", [SERVICE], clock=SystemClock(), env=env) as platform:
        one, other = user_of(platform, "usr_a"), user_of(platform, "usr_b")
        await known_to(platform, one, other)
        keys = {desk.user_id: await desk.webhook_key() for desk in (one, other)}
        for desk in (one, other):
            await desk.start()
            await desk.running()
        private_kafka.freeze()
        try:
            assert (await one.alert(keys["usr_a"], alert_id="opens")).status_code == 200
            await one.positions(1)

            racing = asyncio.gather(*(other.alert(keys["usr_b"], alert_id=f"race-{n}") for n in range(5)))

            async def raced() -> bool:
                store = platform.deps("trading-engine").store
                return bool(await store.trades("usr_b", "pending") or await store.trades("usr_b", "open"))

            await wait_until(raced, "an alert is on its way, with more of them behind it")
            began = time.monotonic()
            stopped = await other.api.post("/api/v1/trading/emergency-stop", json={})
            assert stopped.status_code == 200, stopped.text
            assert time.monotonic() - began < SETTLE_S + 1.0, "no wake-up is waited for, of the stop or of an alert"
            held = (await other.status())["active_positions"]
            await racing
            late = await other.alert(keys["usr_b"], alert_id="late")
            assert late.json()["error"]["code"] == "KILL_SWITCH_ACTIVE"

            await one.alert(keys["usr_a"], "sell", alert_id="closes")
            await one.positions(0)
            admin = user_of(platform, "usr_admin", role="admin")
            answer = await admin.api.post("/api/v1/admin/kill-switch", json=TRIP)
            assert answer.status_code == 200, answer.text
            late = await one.alert(keys["usr_a"], alert_id="too late")
            assert late.json()["error"]["code"] == "KILL_SWITCH_ACTIVE"
            store = platform.deps("trading-engine").store

            async def decided() -> bool:
                return not (await store.trades("usr_a", "pending") or await store.trades("usr_b", "pending"))

            await wait_until(decided, "every alert has an outcome")
            assert ((await one.status())["active_positions"], (await other.status())["active_positions"]) == (0, held)
        finally:
            private_kafka.thaw()
