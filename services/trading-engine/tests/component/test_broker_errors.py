"""Five failures of the broker in a row end a bot with `error`; anything less, and any answer between, does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nija_common.errors import ErrorCode, NijaError, unavailable
from nija_common.events.trading import BotStatusChanged, TradeCancelled, TradeOpened
from nija_common.runtime.manifest import Service
from nija_common.testing import start_platform
from nija_common.values.clock import SystemClock
from nija_trading.adapters.paper_broker import PaperBroker
from nija_trading.domain.account import Account
from nija_trading.service import SERVICE
from nija_trading.wiring import build

QUICK = {"NIJA_SPEED": "0.001", "NIJA_TRADING_POLL_MS": "20"}


class ScriptedBroker(PaperBroker):
    """Raises what its script says, one line a call; behind the script's end it is a paper broker again."""

    def __init__(self, *script: NijaError | None) -> None:
        self.script = list(script)
        self.asked = 0

    async def submit(self, desk: Any, order: Any) -> Any:
        self.asked += 1
        error = self.script.pop(0) if self.script else None
        if error is not None:
            raise error
        return await super().submit(desk, order)


def away() -> NijaError:
    return unavailable("The broker cannot be reached.")


def broken() -> NijaError:
    return NijaError(ErrorCode.BROKER_ERROR, "The broker answered with an error.")


def refusal() -> NijaError:
    return NijaError(ErrorCode.INVALID_API_KEY, "The broker refuses this key.")


def service_with(broker: ScriptedBroker) -> Service:
    """Trading-engine on that broker."""

    @asynccontextmanager
    async def build_scripted(settings: Any, platform: Any) -> AsyncIterator[Any]:
        async with build(settings, platform, broker=broker) as deps:
            yield deps

    return replace(SERVICE, build=build_scripted)


async def stored(desk: Any) -> Account:
    found = await desk.platform.deps("trading-engine").storage.get(Account, desk.user_id)
    assert isinstance(found, Account)
    return found


async def test_the_fifth_failure_in_a_row_ends_entries_and_positions_stay_guarded(engine: Any, wait_until: Any) -> None:
    broker = ScriptedBroker(None, None, away(), broken(), away(), broken(), broken())
    async with engine(service=service_with(broker), **QUICK) as desk:
        await desk.settle(allowed_pairs=("BTC-USD",))
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key, alert_id="opens")
        await desk.positions(1)
        await desk.alert(key, "sell", alert_id="closes")
        await desk.positions(0)
        await desk.alert(key, alert_id="meets an outage")

        async def ended() -> bool:
            return bool((await desk.status())["status"] == "error")

        await wait_until(ended, "the bot ends with an error")
        status = await desk.status()
        assert "5 times in a row" in status["last_error"]
        assert "The broker answered with an error." in status["last_error"]
        assert status["uptime_seconds"] is None
        changed = [event for event in await desk.platform.emitted(BotStatusChanged) if event.status == "error"]
        assert [event.reason for event in changed] == [status["last_error"]]

        async def taken_back() -> bool:
            return bool(await desk.platform.emitted(TradeCancelled))

        await wait_until(taken_back, "the entry that never left")
        assert broker.asked == 7
        assert [event.reason for event in await desk.platform.emitted(TradeCancelled)] == ["not_running"]
        refused = await desk.alert(key, alert_id="too late")
        assert refused.json()["error"]["code"] == "NOT_RUNNING"


async def test_a_bot_in_error_guards_its_position_can_be_stopped_and_started(engine: Any, wait_until: Any) -> None:
    broker = ScriptedBroker(None, *(away() for _ in range(7)))
    async with engine(service=service_with(broker), **QUICK) as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key, alert_id="opens")
        await desk.positions(1)
        await desk.alert(key, "sell", alert_id="closes")

        async def ended() -> bool:
            return any(event.status == "error" for event in await desk.platform.emitted(BotStatusChanged))

        await wait_until(ended, "the bot ends with an error")
        await desk.positions(0)
        assert broker.asked == 9
        assert (await desk.status())["status"] == "error"
        started = await desk.start()
        assert started.status_code == 200, started.text
        await desk.running()
        status = await desk.status()
        assert (status["last_error"], (await stored(desk)).broker_errors) == (None, 0)

        broker.script = [away() for _ in range(5)]
        await desk.alert(key, alert_id="again")

        async def again() -> bool:
            return bool((await desk.status())["status"] == "error")

        await wait_until(again, "once more")
        assert (await desk.api.post("/api/v1/trading/stop")).status_code == 200
        assert (await desk.status())["status"] == "stopped"


async def test_an_answer_between_failures_begins_the_count_anew(engine: Any) -> None:
    four = [broken(), away(), away(), broken()]
    broker = ScriptedBroker(*four, None, *four)
    async with engine(service=service_with(broker), **QUICK) as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key, alert_id="opens")
        await desk.positions(1)
        assert (await stored(desk)).broker_errors == 0
        await desk.alert(key, "sell", alert_id="closes")
        await desk.positions(0)
        assert broker.asked == 10
        assert (await desk.status())["status"] == "running"
        assert (await stored(desk)).broker_errors == 0


async def test_the_count_outlives_the_process_and_a_refusal_is_not_in_it(
    tmp_path: Path, calm_candles: Path, user_of: Any, wait_until: Any
) -> None:
    env = {"NIJA_MARKET": "replay", "NIJA_CANDLES": str(calm_candles), **QUICK}
    first = ScriptedBroker(*(away() for _ in range(4)), *(refusal() for _ in range(10_000)))
    data, clock = tmp_path / "data", SystemClock()
    async with start_platform(data, [service_with(first)], clock=clock, env=env) as platform:
        desk = user_of(platform, "usr_a")
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)

        async def refused_often() -> bool:
            return first.asked > 8

        await wait_until(refused_often, "refusals after four failures")
        assert ((await stored(desk)).broker_errors, (await desk.status())["status"]) == (4, "running")
    second = ScriptedBroker(broken())
    async with start_platform(data, [service_with(second)], clock=clock, env=env) as platform:
        desk = user_of(platform, "usr_a")

        async def ended() -> bool:
            return bool((await desk.status())["status"] == "error")

        await wait_until(ended, "the fifth failure, in another process")
        assert await platform.emitted(TradeOpened) == []
