"""Promise 18: one trade an alert, refusals in their order, an answer at once whatever the worker does."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import orjson

from nija_common.events.identity import UserSnapshot
from nija_common.events.trading import TradeAccepted, TradeCancelled, TradeOpened
from nija_common.testing import start_platform
from nija_common.values.clock import ManualClock
from nija_trading.service import SERVICE

URL = "/api/v1/webhooks/tradingview"


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_the_same_alert_is_one_trade_however_often_it_comes(engine: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        answers = await asyncio.gather(*(desk.alert(key, alert_id="a-1") for _ in range(20)))
        answers += await asyncio.gather(*(desk.alert(key, price=10_000) for _ in range(20)))
        by_id = {answer.json()["data"]["trade_id"] for answer in answers[:20]}
        by_content = {answer.json()["data"]["trade_id"] for answer in answers[20:]}
        assert len(by_id) == len(by_content) == 1
        assert by_id != by_content
        await desk.positions(1)
        assert len(await desk.platform.emitted(TradeAccepted)) == 2


async def test_every_refusal_has_its_code(engine: Any, user_of: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        anonymous = desk.platform.client("trading-engine")
        assert code(await anonymous.post(URL, content=b"{nonsense")) == (400, "VALIDATION_ERROR")
        assert code(await anonymous.post(URL, content=b"[]")) == (400, "VALIDATION_ERROR")
        assert code(await desk.alert("")) == (401, "TOKEN_INVALID")
        assert code(await desk.alert("whk_wrong")) == (401, "TOKEN_INVALID")
        key = await desk.webhook_key()
        assert code(await desk.alert(key, symbol="{{ticker}}")) == (400, "VALIDATION_ERROR")
        assert code(await desk.alert(key, time="2020-01-01T00:00:00Z")) == (400, "VALIDATION_ERROR")
        assert code(await desk.alert(key)) == (400, "NOT_RUNNING")
        await desk.start()
        await desk.running()
        assert code(await desk.alert(key, symbol="DOGEUSD")) == (400, "VALIDATION_ERROR")
        rotated = await desk.webhook_key()
        assert code(await desk.alert(key)) == (401, "TOKEN_INVALID")
        suspended = UserSnapshot(
            user_id=desk.user_id,
            email="a@b.example",
            full_name="A",
            role="user",
            status="suspended",
            registered_at_ms=0,
        )
        await desk.platform.given_events(suspended, source="auth")
        assert code(await desk.alert(rotated)) == (403, "ACCOUNT_SUSPENDED")
        sold = await desk.alert(rotated, "sell")
        assert sold.status_code == 200
        assert [event.reason for event in await desk.platform.emitted(TradeCancelled)] == ["no_position"]


async def test_plain_text_is_read_and_a_far_price_opens_nothing(engine: Any, wait_until: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        body = {"symbol": "XBTUSD", "action": "buy", "api_key": key, "price": 12_000, "unknown": "ignored"}
        answer = await desk.platform.client("trading-engine").post(
            URL, content=orjson.dumps(body), headers={"Content-Type": "text/plain; charset=utf-8"}
        )
        assert answer.status_code == 200, answer.text

        async def cancelled() -> bool:
            return bool(await desk.platform.emitted(TradeCancelled))

        await wait_until(cancelled)
        assert [event.reason for event in await desk.platform.emitted(TradeCancelled)] == ["price_away"]
        assert not await desk.platform.emitted(TradeOpened)


async def test_buys_are_counted_and_sells_never_refused(engine: Any) -> None:
    async with engine(NIJA_TRADING_ALERTS_PER_MINUTE="3") as desk:
        await desk.settle()
        key = await desk.webhook_key()
        for number in range(3):
            assert (await desk.alert(key, alert_id=str(number))).status_code == 400
        refused = await desk.alert(key, alert_id="4")
        assert code(refused) == (429, "RATE_LIMIT_EXCEEDED")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await desk.alert(key, "sell")).status_code == 200


async def test_an_alert_that_no_worker_took_in_time_expires(tmp_path: Path, calm_candles: Path, user_of: Any) -> None:
    clock = ManualClock()
    env = {"NIJA_MARKET": "replay", "NIJA_CANDLES": str(calm_candles), "NIJA_SPEED": "1"}
    only_api = {"trading-engine": ["api"]}
    async with start_platform(tmp_path / "data", [SERVICE], clock=clock, env=env, roles=only_api) as platform:
        desk = user_of(platform, "usr_a")
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        began = time.monotonic()
        assert (await desk.alert(key)).status_code == 200
        assert time.monotonic() - began < 1
        assert (await desk.status())["status"] == "starting"
    clock.advance(61)
    async with start_platform(tmp_path / "data", [SERVICE], clock=clock, env=env) as platform:
        desk = user_of(platform, "usr_a")
        await desk.running()
        for _ in range(500):
            if await platform.emitted(TradeCancelled):
                break
            await asyncio.sleep(0.01)
        assert [event.reason for event in await platform.emitted(TradeCancelled)] == ["expired"]


async def test_a_webhook_key_is_shown_once(engine: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        assert (await desk.api.get("/api/v1/config/webhook-key")).status_code == 404
        key = await desk.webhook_key()
        shown = (await desk.api.get("/api/v1/config/webhook-key")).json()["data"]["webhook_key_masked"]
        assert key not in shown
        assert shown.endswith(key[-4:])


async def test_the_order_belongs_to_the_story_of_its_alert(engine: Any, wait_until: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        body = {"symbol": "BTCUSD", "action": "buy", "api_key": key}
        client = desk.platform.client("trading-engine")
        await client.post(URL, json=body, headers={"X-Request-ID": "story-of-an-alert"})
        await desk.positions(1)
        accepted = (await desk.platform.received(TradeAccepted))[0]
        opened = (await desk.platform.received(TradeOpened))[0]
        assert accepted.correlation_id == opened.correlation_id == "story-of-an-alert"
        assert accepted.traceparent is None or opened.traceparent is not None


async def test_an_alert_on_a_price_older_than_two_candles_opens_nothing(
    engine: Any, two_markets: Path, wait_until: Any
) -> None:
    lines = (two_markets / "ETH-USD_5m.csv").read_text().splitlines()[:101]
    (two_markets / "ETH-USD_5m.csv").write_text("\n".join(lines) + "\n")
    frame_ms = 300_000
    last_close_ms = int(lines[-1].split(",")[0]) + frame_ms
    async with engine(candles=two_markets, NIJA_SPEED="10000", NIJA_TRADING_POLL_MS="20") as desk:
        await desk.settle(allowed_pairs=("BTC-USD", "ETH-USD"))
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        store = desk.platform.deps("trading-engine").store

        async def too_old() -> bool:
            shard = await store.shard((await store.account(desk.user_id)).shard)
            return bool((shard.step_ms or 0) > last_close_ms + 2 * frame_ms)

        await wait_until(too_old, "three candles without one of ETH-USD")
        await desk.alert(key, symbol="ETHUSD")
        await desk.alert(key, symbol="BTCUSD")
        await desk.positions(1)

        async def cancelled() -> bool:
            return bool(await desk.platform.emitted(TradeCancelled))

        await wait_until(cancelled, "the alert on the old price")
        assert [event.reason for event in await desk.platform.emitted(TradeCancelled)] == ["stale_data"]
        assert [event.symbol for event in await desk.platform.emitted(TradeOpened)] == ["BTC-USD"]
