"""How far the services have come: read models behind the bus, events behind the store, parked keys, leases, the clock."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from nija_cli.operating.doctor.findings import Finding, fail, ok, warn
from nija_cli.services import SERVICES
from nija_common.bus.parked import ParkedKey
from nija_common.bus.port import Edge, TopicPartition
from nija_common.events.topics import Topic
from nija_common.runtime.infrastructure import Infrastructure
from nija_common.runtime.manifest import Service
from nija_common.runtime.node import schema_differences, schema_unknown
from nija_common.storage.outbox import LEASE
from nija_common.values.shards import PARTITIONS
from nija_trading.domain.controls import GLOBAL, GlobalSwitch
from nija_trading.handlers.pool import SHARDS, WORKERS

Waiting = Callable[[Service, str, Topic], Awaitable[int]]
"""How many events of a topic a group of a service has not applied yet."""

MANY = 1_000
"""Events that a group may be behind before somebody should look."""
OUTBOX_LOOK = 500
OLD_MS, TOO_OLD_MS = 30_000, 300_000
SKEW_MS, TOO_SKEWED_MS = 1_000, 5_000


async def store_findings(infrastructure: Infrastructure) -> list[Finding]:
    """The store answers, and its clock is ours: leases, windows and tokens rest on both."""
    before = time.time() * 1000
    theirs = await infrastructure.storage_of("auth").now_ms()
    after = time.time() * 1000
    off = max(before - theirs, theirs - after, 0.0)
    text = f"answers in {after - before:.0f} ms; its clock is {off / 1000:.1f} s from this machine's"
    todo = "let both machines follow the same time server (NTP)"
    if off > TOO_SKEWED_MS:
        return [fail("store", text, todo)]
    return [warn("store", text, todo) if off > SKEW_MS else ok("store", text)]


async def schema_findings(infrastructure: Infrastructure) -> list[Finding]:
    """What `nija migrate` would do; until then `nija serve` does not start."""
    due = await schema_differences(infrastructure, SERVICES)
    unknown = await schema_unknown(infrastructure, SERVICES)
    found = [fail("schema", line, "run `nija migrate`") for line in due]
    found += [warn("schema", line, "another version left it; it does no harm") for line in unknown]
    return found or [ok("schema", "topics, collections and indexes are as declared")]


async def lag_findings(waiting: Waiting) -> list[Finding]:
    """Each group and topic that is behind."""
    found: list[Finding] = []
    subscriptions = [(service, *one) for service in SERVICES for one in _subscriptions(service)]
    for service, group, topic in subscriptions:
        behind = await waiting(service, group, topic)
        text = f"{group} has {behind} events of {topic.name} to apply"
        if behind > MANY:
            found.append(warn("lag", text, f"is {service.name} running? its log and `nija parked list` say why"))
        elif behind:
            found.append(ok("lag", text))
    return found or [ok("lag", f"all {len(subscriptions)} subscriptions have applied everything")]


def _subscriptions(service: Service) -> list[tuple[str, Topic]]:
    return [
        (service.group(name), subscription.topic)
        for name, role in service.roles.items()
        for subscription in role.subscriptions
        if not subscription.broadcast
    ]


def waiting_on_kafka(infrastructure: Infrastructure) -> Waiting:
    """How many offsets a service has not applied; of a compacted topic some hold no record any more."""

    async def waiting(service: Service, group: str, topic: Topic) -> int:
        places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        applied = await infrastructure.storage_of(service.name).progress(group, topic.name)
        begins = await infrastructure.bus.offsets(dict.fromkeys(places, Edge.BEGINNING))
        ends = await infrastructure.bus.ends(places)
        return sum(max(0, ends[place] - max(applied.get(place.partition, 0), begins[place])) for place in places)

    return waiting


async def outbox_findings(infrastructure: Infrastructure) -> list[Finding]:
    """Events that are committed and not on the bus."""
    found: list[Finding] = []
    for service in SERVICES:
        outbox = infrastructure.outbox_of(service.name)
        rows = [] if outbox is None else await outbox.pending(OUTBOX_LOOK)
        if not rows:
            continue
        age_ms = await infrastructure.storage_of(service.name).now_ms() - min(row.created_ms for row in rows)
        number = f"{len(rows)} or more" if len(rows) >= OUTBOX_LOOK else str(len(rows))
        text = f"{service.name}: {number} events wait, the oldest for {max(age_ms, 0) / 1000:.0f} s"
        todo = f"is {service.name} running, and does it reach the bus? its log says `outbox_waits` with the reason"
        if age_ms > TOO_OLD_MS:
            found.append(fail("outbox", text, todo))
        else:
            found.append(warn("outbox", text, todo) if age_ms > OLD_MS else ok("outbox", text))
    return found or [ok("outbox", "nothing waits")]


async def parked_findings(infrastructure: Infrastructure) -> list[Finding]:
    """Keys that consumers have set aside."""
    found: list[Finding] = []
    for service in SERVICES:
        number = await infrastructure.storage_of(service.name).count(ParkedKey, "by_group")
        if number:
            todo = "`nija parked list` says why; then `nija parked replay`"
            found.append(warn("parked", f"{service.name}: {number} keys are set aside", todo))
    return found or [ok("parked", "no key is set aside")]


async def lease_findings(infrastructure: Infrastructure, *, relays: bool) -> list[Finding]:
    """Who relays, who trades, and whether trading is stopped."""
    found: list[Finding] = []
    for service in SERVICES if relays else ():
        if service.produces and not await infrastructure.storage_of(service.name).leases(LEASE):
            todo = f"start {service.name}, or look at why it does not reach the store"
            found.append(warn("leases", f"nobody relays the events of {service.name}", todo))
    trading = infrastructure.storage_of("trading-engine")
    workers, shards = await trading.leases(WORKERS), await trading.leases(SHARDS)
    text = f"{len(workers)} trading workers hold {len(shards)} of {PARTITIONS} shards"
    if not workers:
        found.append(warn("leases", text, "start a trading worker: no bot trades"))
    elif len(shards) < PARTITIONS:
        found.append(warn("leases", text, "look again in 10 s; if it stays, the workers' logs say why"))
    else:
        found.append(ok("leases", text))
    switch = await trading.get(GlobalSwitch, GLOBAL)
    if switch is not None and switch.active:
        todo = "an administrator lifts it when the reason is gone"
        found.append(warn("trading", f"the kill switch is on: {switch.reason}", todo))
    return found
