"""Two versions side by side on Kafka: a producer of the next version beside today's consumers (promise 31).

The next version adds fields to the envelope and to payloads at every depth, and a new type on an existing topic. All
of it is applied or passed over; no key is parked, and `seq` goes on over what was passed over. The upcasting of an
older version is proved on real members of a group by the second test.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from nija_accounts.service import SERVICE as ACCOUNTS
from nija_analytics.service import SERVICE as ANALYTICS
from nija_billing.service import SERVICE as BILLING
from nija_common.bus.consumer import ConsumerRunner
from nija_common.bus.kafka import KafkaBus
from nija_common.bus.parked import ParkedKey
from nija_common.bus.port import Message
from nija_common.events.base import Emission, Event, Received
from nija_common.events.codec import Codec, encode
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.topics import SESSIONS
from nija_common.events.trading import BotStatusChanged, PositionClosed, PositionOpened, TradeClosed, TradeOpened
from nija_common.runtime.manifest import shared
from nija_common.storage.reads import ReadsOwnWrites
from nija_common.storage.sqlite import SqliteDatabase
from nija_common.storage.unit_of_work import UnitOfWork, Work
from nija_common.testing import start_platform
from nija_common.testing.events import example_of
from nija_common.values.clock import SystemClock
from nija_common.values.document import Collection, Document
from nija_common.values.ids import new_id
from nija_common.values.shards import shard_of
from nija_gateway.service import SERVICE as GATEWAY
from nija_notifier.service import SERVICE as NOTIFIER

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

CONSUMERS = (ACCOUNTS, ANALYTICS, BILLING, NOTIFIER, GATEWAY)
USER = "usr_next"


def message(event: Event, source: str, seq: int, *, version: int = 1, **envelope: Any) -> Message:
    """An event as a relay writes it, with what the next version has changed about it."""
    key = event.key()
    emission = Emission(
        id=new_id("evt"),
        topic=event.topic,
        key=key,
        partition=shard_of(key),
        type=event.type,
        version=version,
        source=source,
        time_ms=SystemClock().now_ms(),
        correlation_id=new_id("req"),
        causation_id=None,
        traceparent=None,
        data=event.model_dump(mode="json"),
    )
    value, headers = encode(emission, seq=seq, incarnation=1)
    written = {**orjson.loads(value), **envelope}
    return Message(event.topic.name, emission.partition, key, orjson.dumps(written), {**headers, "region": "eu"})


def of_next_version(sent: Message) -> Message:
    """More fields in the envelope and, at every depth, in the payload."""
    written = orjson.loads(sent.value)
    changed = {**written, "region": "eu", "data": _with_more(written["data"])}
    return Message(sent.topic, sent.partition, sent.key, orjson.dumps(changed), sent.headers)


def _with_more(value: Any) -> Any:
    if isinstance(value, dict):
        return {**{name: _with_more(inner) for name, inner in value.items()}, "added_later": {"deep": [1]}}
    return [_with_more(each) for each in value] if isinstance(value, list) else value


async def test_todays_consumers_apply_what_they_know_of_the_next_version_and_pass_over_the_rest(
    tmp_path: Path, kafka_bootstrap: str, namespace: str
) -> None:
    env = {"NIJA_BUS": "kafka", "NIJA_KAFKA_BOOTSTRAP": kafka_bootstrap, "NIJA_NAMESPACE": namespace}
    trade = {"user_id": USER, "trade_id": "trd_1"}
    opened = example_of(TradeOpened, **trade)
    told = [
        message(example_of(BotStatusChanged, user_id=USER), "trading-engine", 1),
        message(opened, "trading-engine", 2),
        message(opened, "trading-engine", 3, type="trade.annotated", data={"trade_id": "trd_1", "note": "new"}),
        message(example_of(PositionOpened, user_id=USER, trade_id="trd_1"), "trading-engine", 4),
        message(opened, "trading-engine", 5, type="position.hedged", version=9, data={}),
        message(example_of(TradeClosed, **trade), "trading-engine", 6),
        message(example_of(PositionClosed, user_id=USER, trade_id="trd_1"), "trading-engine", 7),
        message(example_of(SubscriptionSnapshot, user_id=USER), "billing", 1),
    ]
    async with start_platform(tmp_path / "data", CONSUMERS, clock=SystemClock(), env=env) as platform:
        await platform.node.infrastructure.bus.send([of_next_version(each) for each in told])
        await platform.settled()
        answer = await platform.client("accounts", platform.token(USER)).get("/api/v1/account/history")
        assert [(t["trade_id"], t["closed_at"] is not None) for t in answer.json()["data"]["trades"]] == [
            ("trd_1", True)
        ]
        for service in CONSUMERS:
            parked = await platform.node.running[service.name].storage.find(ParkedKey, "by_group", limit=10)
            assert not parked.items, (service.name, [key.reason for key in parked.items])


class Moved(Event):
    """As today's code knows it."""

    topic = SESSIONS
    type = "test.moved"
    example: ClassVar[dict[str, Any]] = {"user_id": "u", "name": "n"}
    user_id: str
    name: str


class MovedNext(Event):
    """As the next version knows it: a field has another name."""

    topic = SESSIONS
    type = "test.moved"
    schema_version = 2
    example: ClassVar[dict[str, Any]] = {"user_id": "u", "full_name": "n"}
    user_id: str
    full_name: str


class Seen(Document):
    """One for each time an event was handled, with who did it and what it read."""

    collection: ClassVar[Collection] = Collection("seen")
    by: str
    text: str


def _renamed(data: dict[str, Any]) -> dict[str, Any]:
    return {"user_id": data["user_id"], "full_name": data["name"]}


TODAY = Codec([Moved])
NEXT = Codec([MovedNext], {("test.moved", 1): _renamed})
USERS = [f"usr-{n}" for n in range(24)]
EACH = 5


async def _seen(by: str, received: Received[Any], uow: UnitOfWork) -> None:
    event = received.event
    text = event.full_name if isinstance(event, MovedNext) else event.name
    uow.save(Seen(id=f"{received.key}-{received.seq}-{by}", by=by, text=text))


async def test_two_versions_in_one_group_share_the_work_and_the_newer_reads_the_older_events(
    tmp_path: Path, kafka_bootstrap: str, namespace: str
) -> None:
    clock = SystemClock()
    async with (
        SqliteDatabase.open(tmp_path / "file", clock, outbox=True) as database,
        KafkaBus.open(kafka_bootstrap, namespace=namespace, session_timeout_s=1.0) as bus,
    ):
        storage = database.storage("counter")
        await storage.migrate([Seen, ParkedKey])
        await bus.ensure([SESSIONS])

        def member(by: str, reading: Codec, kind: type[Event]) -> asyncio.Task[None]:
            runner = ConsumerRunner(
                service="counter",
                group="counter.consumer",
                subscriptions=(shared(SESSIONS, {kind: _seen}),),
                deps=by,
                storage=ReadsOwnWrites(storage),
                bus=bus,
                work=Work(storage, bus, clock, "counter"),
                codec=reading,
                clock=clock,
            )
            return asyncio.create_task(runner.run())

        async def seen(count: int) -> list[Seen]:
            ids = [f"{user}-{n + 1}-{by}" for user in USERS for n in range(2 * EACH) for by in ("today", "next")]
            async with asyncio.timeout(60):
                while len(found := await storage.get_many(Seen, ids)) < count:
                    await asyncio.sleep(0.05)
            return list(found.values())

        today, upgraded = member("today", TODAY, Moved), member("next", NEXT, MovedNext)
        try:
            for n in range(EACH):
                # One batch at a time: the second member joins meanwhile, and partitions move.
                await bus.send([message(Moved(user_id=u, name=f"{u} {n + 1}"), "auth", n + 1) for u in USERS])
                await seen((n + 1) * len(USERS))
                await asyncio.sleep(0.3)
            both = await seen(EACH * len(USERS))
            assert len(both) == EACH * len(USERS), "every event once"
            assert {each.by for each in both} == {"today", "next"}
            today.cancel()
            await asyncio.wait([today])
            # All consumers know the next version now: producers may follow.
            for n in range(EACH, 2 * EACH):
                events = [MovedNext(user_id=u, full_name=f"{u} {n + 1}") for u in USERS]
                await bus.send([message(event, "auth", n + 1, version=2) for event in events])
            found = await seen(2 * EACH * len(USERS))
            assert len(found) == 2 * EACH * len(USERS)
            assert all(
                each.text == each.id.rsplit("-", 1)[0].replace("-", " ").replace("usr ", "usr-") for each in found
            )
            assert not (await storage.find(ParkedKey, "by_group", limit=10)).items
        finally:
            for task in (today, upgraded):
                task.cancel()
            await asyncio.wait([today, upgraded])
