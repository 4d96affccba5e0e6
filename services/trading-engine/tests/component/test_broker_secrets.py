"""Broker keys cannot be read where they lie, are used by workers alone, and outlive a change of keys and a crash."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nija_common.bus.port import Edge, TopicPartition
from nija_common.errors import NijaError
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.topics import SHARED_TOPICS
from nija_common.runtime.key_encryption import KEY_FILE, KeyFile
from nija_common.runtime.platform import Platform
from nija_common.runtime.rotation import rewrap
from nija_common.runtime.settings import load
from nija_common.telemetry.logging import configure_logging
from nija_common.testing.exchange import ApiKey, Fault, FaultKind, RunningExchange
from nija_common.testing.exchange import coinbase_private as coinbase
from nija_common.testing.exchange import kraken_private as kraken
from nija_common.values.clock import SystemClock
from nija_trading.adapters.exchange_keys import ExchangeKeys
from nija_trading.domain.connections import EXCHANGES, BrokerKey, KeyReport
from nija_trading.service import SERVICE
from nija_trading.settings import BrokersSettings, TradingSettings
from nija_trading.wiring import build

BROKERS = "/api/v1/config/brokers"


def kraken_account(fake: RunningExchange) -> tuple[ApiKey, dict[str, Any]]:
    key, secret = kraken.new_kraken_key(balances={"USD": "5"})
    fake.exchange.add_key(key)
    return key, {"broker": "kraken", "api_key": key.name, "api_secret": secret}


def settings_for(fake: RunningExchange) -> dict[str, str]:
    return {
        "NIJA_TRADING_POLL_MS": "20",
        "NIJA_BROKERS__KRAKEN__BASE_URL": fake.base_url,
        "NIJA_BROKERS__COINBASE__BASE_URL": fake.base_url,
    }


async def on_the_bus(platform: Any) -> bytes:
    """Every record of every topic, headers and keys included."""
    bus = platform.node.infrastructure.bus
    places = [TopicPartition(topic.name, number) for topic in SHARED_TOPICS for number in range(topic.partitions)]
    ends = await bus.ends(places)
    found = b""
    async with bus.read(dict.fromkeys(places, Edge.BEGINNING)) as reader:
        while any(reader.position(place) < end for place, end in ends.items()):
            for record in await reader.poll(1000, 0.05):
                found += record.value + repr((record.key, record.headers)).encode()
    return found


async def test_planted_keys_are_found_in_no_file_no_event_no_log_and_no_answer(
    engine: Callable[..., Any],
    fake_exchange: RunningExchange,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    good, body = kraken_account(fake_exchange)
    cloud, pem = coinbase.new_cloud_key(balances={"USD": "7"})
    fake_exchange.exchange.add_key(cloud)
    bodies = [
        body,
        {"broker": "coinbase", "api_key": cloud.name, "api_secret": pem},
        {"broker": "okx", "api_key": "canary-okx-key-name", "api_secret": "canary-okx-secret"},
    ]
    bodies[2]["additional_params"] = {"password": "canary-pass-phrase"}
    wrong = {"broker": "kraken", "api_key": "canary-wrong-key-name", "api_secret": "Y2FuYXJ5IHdyb25nIHNlY3JldA=="}
    pem_line = pem.splitlines()[1]
    canaries = [good.name, body["api_secret"], cloud.name, pem_line, "canary-"]
    canaries += [wrong["api_secret"], body["api_secret"][:24], cloud.name.split("/")[-1][:20]]
    configure_logging("debug")
    try:
        answers = ""
        okx = {"NIJA_BROKERS__OKX__BASE_URL": fake_exchange.base_url}
        async with engine(**settings_for(fake_exchange), **okx) as desk:
            await desk.settle()
            for sent in (wrong, *bodies):
                answers += (await desk.api.post(BROKERS, json=sent)).text
            shown = await desk.api.get(BROKERS)
            answers += shown.text
            for connection in shown.json()["data"]["brokers"]:
                fake_exchange.exchange.will_fail("Balance", Fault(FaultKind.STATUS, status=500))
                for _ in range(2):
                    answers += (await desk.api.post(f"{BROKERS}/{connection['broker_id']}/test")).text
            assert len(shown.json()["data"]["brokers"]) == 2
            events = await on_the_bus(desk.platform)
            store = desk.platform.deps("trading-engine").store
            answers += repr(await store.connections(desk.user_id))
            await desk.api.delete(f"{BROKERS}/{shown.json()['data']['brokers'][0]['broker_id']}")
    finally:
        configure_logging("warning")
    files = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    logged = "".join(capfd.readouterr())
    assert "broker_check_failed" in logged, "the log was looked at"
    assert b"broker_key_used" in events, "the events were looked at"
    assert b"broker_connections" in files, "the files were looked at"
    for canary in canaries:
        places = {"files": files, "events": events, "log": logged.encode(), "answers": answers.encode()}
        for place, content in places.items():
            assert canary.encode() not in content, f"{canary[:12]}… in {place}"
            assert json.dumps(canary).strip('"').encode() not in content, f"{canary[:12]}… in {place}"


def test_a_key_shows_nothing_of_itself() -> None:
    key = BrokerKey(api_key="canary-name", api_secret="canary-secret", password="canary-word")
    assert "canary" not in f"{key!r} {key}"


async def test_a_sealed_key_that_is_moved_to_another_row_does_not_open(
    engine: Callable[..., Any], fake_exchange: RunningExchange, user_of: Callable[..., Any]
) -> None:
    _, body = kraken_account(fake_exchange)
    _, theirs = kraken_account(fake_exchange)
    async with engine(**settings_for(fake_exchange)) as desk:
        other = user_of(desk.platform, "usr_b")
        await desk.settle()
        await other.settle()
        ids = [
            (await d.api.post(BROKERS, json=b)).json()["data"]["broker_id"] for d, b in ((desk, body), (other, theirs))
        ]
        deps = desk.platform.deps("trading-engine")
        mine, stolen = [await deps.store.connection(broker_id) for broker_id in ids]
        uow = deps.work.open()
        uow.save(mine.model_copy(update={"sealed": stolen.sealed}))
        await deps.work.commit(uow)
        before = len(fake_exchange.exchange.calls)
        answer = await desk.api.post(f"{BROKERS}/{ids[0]}/test")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert len(fake_exchange.exchange.calls) == before, "nothing was sent"
        assert (await other.api.post(f"{BROKERS}/{ids[1]}/test")).status_code == 200


async def test_keys_are_rotated_while_they_are_used(
    engine: Callable[..., Any], fake_exchange: RunningExchange, user_of: Callable[..., Any], tmp_path: Path
) -> None:
    async with engine(**settings_for(fake_exchange)) as desk:
        desks = [desk, *(user_of(desk.platform, f"usr_{n}") for n in range(3))]
        for one in desks:
            await one.settle()
            body = kraken_account(fake_exchange)[1]
            assert (await one.api.post(BROKERS, json=body)).status_code == 201
        running = desk.platform.node.running["trading-engine"]
        sealer = desk.platform.node.sealer
        old, stop, statuses = sealer.key_id, asyncio.Event(), []

        async def use(one: Any) -> None:
            (row,) = (await one.api.get(BROKERS)).json()["data"]["brokers"]
            while not stop.is_set():
                statuses.append((await one.api.post(f"{BROKERS}/{row['broker_id']}/test")).status_code)

        users = [asyncio.create_task(use(one)) for one in desks]
        file = KeyFile(tmp_path / "data" / KEY_FILE)
        changed = []
        for _ in range(2):
            file.add()
            changed.append(await rewrap(SERVICE.sealed, running.storage, running.work, sealer))
            seen = len(statuses)
            while len(statuses) < seen + len(desks):
                await asyncio.sleep(0.005)
        stop.set()
        await asyncio.gather(*users)
        assert set(statuses) == {200}
        assert changed == [4, 4]
        assert await rewrap(SERVICE.sealed, running.storage, running.work, sealer) == 0
        sealed = [row.sealed for one in desks for row in await running.deps.store.connections(one.user_id)]
        assert {text.split(".")[1] for text in sealed} == {sealer.key_id} != {old}


class Dying:
    """A worker's exchanges that never answer: it dies with the question."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def check(self, broker: str, key: BrokerKey) -> KeyReport:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError("never")


async def test_a_check_whose_worker_dies_between_commit_and_call_is_taken_by_the_next(
    engine: Callable[..., Any], fake_exchange: RunningExchange, another_worker: Callable[..., Any]
) -> None:
    key, body = kraken_account(fake_exchange)
    dying = Dying()

    @asynccontextmanager
    async def dying_build(settings: TradingSettings, platform: Platform) -> AsyncIterator[Any]:
        async with build(settings, platform, keys=dying) as deps:
            yield deps

    env = {**settings_for(fake_exchange), "NIJA_TRADING_LEASE_MS": "300", "NIJA_TRADING_RENEW_MS": "50"}
    api_only = replace(SERVICE, roles={"api": SERVICE.roles["api"]})
    async with engine(service=api_only, **env) as desk:
        await desk.settle()
        async with another_worker(desk.platform, replace(SERVICE, build=dying_build), env):
            adding = asyncio.create_task(desk.api.post(BROKERS, json=body))
            await asyncio.wait_for(dying.asked.wait(), 10)
        assert not fake_exchange.exchange.calls
        async with another_worker(desk.platform, SERVICE, env):
            answer = await adding
        assert answer.status_code == 201, answer.text
        assert [call.key for call in fake_exchange.exchange.calls] == [key.name] * 2
        used = [row for row in await desk.platform.emitted(AuditRecorded) if row.event_type == "broker_key_used"]
        assert len(used) == 2, "each use has a row, the one that died included"


async def test_a_slow_exchange_is_given_up_in_time(fake_exchange: RunningExchange) -> None:
    _, body = kraken_account(fake_exchange)
    fake_exchange.exchange.will_fail("GetApiKeyInfo", Fault(FaultKind.DELAY, delay_s=30.0))
    settings = load(TradingSettings, {"NIJA_BROKERS__KRAKEN__BASE_URL": fake_exchange.base_url})
    hurried, patient = (ExchangeKeys(settings.brokers, SystemClock(), check_s=s) for s in (0.3, 30.0))
    key = BrokerKey(api_key=body["api_key"], api_secret=body["api_secret"])
    try:
        with pytest.raises(NijaError, match="BROKER_ERROR: Kraken Pro does not answer in time"):
            await hurried.check("kraken", key)
        fake_exchange.exchange.heal()
        report = await patient.check("kraken", key)
        assert (report.permissions, report.cash) == (("read", "trade"), 5 * 100_000_000)
    finally:
        await hurried.close()
        await patient.close()


def test_the_exchanges_are_those_that_the_library_certifies_but_wallets() -> None:
    ccxt = importlib.import_module("ccxt")
    certified = {name for name in ccxt.exchanges if getattr(ccxt, name)().certified}
    assert set(EXCHANGES) == {"coinbase", "kraken"} | certified - {"hyperliquid"}
    assert set(BrokersSettings.model_fields) == set(EXCHANGES)
