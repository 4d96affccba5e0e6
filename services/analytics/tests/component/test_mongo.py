"""What administrators read, on MongoDB's wire: the same consumers and queries as on the file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from nija_analytics.answers import Answers
from nija_analytics.consumers import SHARED
from nija_analytics.deps import Deps
from nija_analytics.domain.exports import Links
from nija_analytics.handlers import admin_reads
from nija_analytics.handlers.audit import verify
from nija_analytics.store import COLLECTIONS, AuditLog, Cards, Digests, Exports, People, Results, Rows, Totals
from nija_common.events.administration import ApiUsageCounted
from nija_common.events.base import Event, Received
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import BotStatusChanged, PositionOpened, TradeClosed, TradeOpened
from nija_common.storage.blobs import FolderBlobs
from nija_common.storage.mongo import MongoServer
from nija_common.storage.reads import ReadsOwnWrites
from nija_common.storage.unit_of_work import UnitOfWork, Work, current
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier

pytestmark = pytest.mark.mongo

HANDLERS: dict[type[Event], Any] = {kind: h for subscription in SHARED for kind, h in subscription.handlers.items()}
MINUTE = 60_000


@pytest.fixture
async def deps(mongo_url: str, namespace: str, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Deps]:
    nothing_is_sent: Any = None
    async with MongoServer.open(mongo_url, namespace=namespace) as server:
        storage = ReadsOwnWrites(server.storage("analytics"))
        await storage.migrate(COLLECTIONS)
        yield Deps(
            clock=clock,
            work=Work(storage, nothing_is_sent, clock, "analytics"),
            results=Results(storage),
            rows=Rows(storage),
            people=People(storage),
            exports=Exports(storage),
            digests=Digests(storage),
            blobs=FolderBlobs(tmp_path),
            links=Links(lambda: b"0" * 32, "http://nija.example"),
            cards=Cards(storage),
            totals=Totals(storage),
            audit_log=AuditLog(storage),
            answers=Answers(),
        )


async def told(deps: Deps, *events: Event) -> None:
    """All of them in one unit of work, as the consumer does it."""
    uow = UnitOfWork("analytics", deps.clock)
    for number, event in enumerate(events, 1):
        received = Received(
            event, f"evt_{number}", "test", 0, event.key(), 0, number, number, (0, number), "", None, None
        )
        with current(uow):
            await HANDLERS[type(event)](deps, received, uow)
    await deps.cards.storage.commit(uow.sequenced())


async def test_a_batch_is_counted_listed_searched_and_chained(deps: Deps, clock: ManualClock) -> None:
    now = clock.now_ms()
    mails = ["ada.adams@mail.example.com", "bea@adams.example", "cleo@mail.example.com"]
    paid = {"tier": "pro", "status": "active", "interval": "monthly", "amount_cents": 9900}
    minute = {"from_ms": now // MINUTE * MINUTE - MINUTE, "to_ms": now // MINUTE * MINUTE, "calls": 60, "errors": 6}
    await told(
        deps,
        *(example_of(UserSnapshot, user_id=f"usr_{n}", email=mail, registered_at_ms=n) for n, mail in enumerate(mails)),
        example_of(SubscriptionSnapshot, user_id="usr_1", **paid),
        example_of(BotStatusChanged, user_id="usr_1"),
        example_of(PositionOpened, user_id="usr_1"),
        example_of(TradeOpened, user_id="usr_1", size_usd="12.50", at_ms=now),
        example_of(TradeClosed, user_id="usr_1", realized_pnl="2.50"),
        example_of(ApiUsageCounted, user_id="global", **minute),
        *(example_of(AuditRecorded, user_id="usr_1", log_id=f"log_{n}", at_ms=now + n) for n in range(5)),
    )
    people, total = await admin_reads.people(deps, admin_reads.People("adams", None, None, 0, 10))
    assert ([person.user.id for person in people], total) == (["usr_1", "usr_0"], 2)
    people, total = await admin_reads.people(deps, admin_reads.People(None, Tier.PRO, "active", 0, 10))
    assert (people[0].trading.results.net, people[0].trading.positions_shown, total) == (250_000_000, 1, 1)
    metrics = await admin_reads.metrics(deps)
    assert (metrics.users.total, metrics.users.active_today, metrics.users.tiers[Tier.PRO]) == (3, 1, 1)
    assert (metrics.trading.trades, metrics.trading.volume) == (1, 1_250_000_000)
    assert (metrics.system.requests_per_second, metrics.system.error_rate) == (1.0, 0.1)
    assert metrics.revenue.mrr_cents == 9900
    asked = admin_reads.Rows("usr_1", "user_login", now + 1, now + 4, 1, 10)
    rows, total = await admin_reads.audit_rows(deps, asked)
    assert ([row.id for row in rows], total) == (["log_2", "log_1"], 3)
    found = await verify(deps)
    assert (found.rows, found.whole) == (5, True)
