"""A node: some roles of some services, running in this process.

`nija up` makes one of every role, `nija serve` one of a single service. Parts open in the order store,
consumers, loops, HTTP and close in reverse; all of them run in one task group, so a part that fails ends the
process with its error, and whoever started it starts it again.
"""

from __future__ import annotations

import asyncio
import os
import socket
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog

from nija_common.bus.broadcast import BroadcastReader
from nija_common.bus.consumer import ConsumerRunner
from nija_common.bus.parked import ParkedKey
from nija_common.bus.port import BusUnavailable, TopicPartition
from nija_common.bus.watch import watch_group
from nija_common.errors import NijaError, SettingsError
from nija_common.events import topics
from nija_common.events.catalogue import codec
from nija_common.events.topics import Kind, Topic
from nija_common.http import local
from nija_common.http.health import Check, Health
from nija_common.http.idempotency import Idempotency
from nija_common.runtime.freshness import Freshness
from nija_common.runtime.infrastructure import Infrastructure
from nija_common.runtime.loops import run_loop, watch_lag
from nija_common.runtime.manifest import AsgiApp, HttpProtocol, Role, Service
from nija_common.runtime.platform import LocalApps, Platform
from nija_common.runtime.settings import Block, PlatformSettings
from nija_common.runtime.together import together
from nija_common.security.sealing import Sealer
from nija_common.security.tokens import KeySet, TokenVerifier
from nija_common.storage.outbox import Relay
from nija_common.storage.port import Storage
from nija_common.storage.reads import ReadsOwnWrites
from nija_common.storage.remembered import IdempotentRequest
from nija_common.storage.unit_of_work import Work
from nija_common.telemetry import metrics
from nija_common.values.clock import Clock
from nija_common.values.ids import new_id

log = structlog.get_logger(__name__)

FINISH_S = 4.0
"""How long what was in hand when the last request had been answered may take."""
PRUNE_EVERY_S = 60.0
BUS_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Part:
    """One service with the roles that run here and its settings."""

    service: Service
    roles: Mapping[str, Role]
    settings: Block


@dataclass(slots=True)
class Running:
    """A part that has been opened."""

    part: Part
    storage: Storage
    work: Work
    deps: Any
    app: AsgiApp | None
    http: HttpProtocol | None = None
    runners: list[ConsumerRunner] = field(default_factory=list)
    readers: list[BroadcastReader] = field(default_factory=list)


@dataclass(slots=True)
class Node:
    """What runs here. `holder` names this process in leases."""

    settings: PlatformSettings
    clock: Clock
    infrastructure: Infrastructure
    sealer: Sealer
    tokens: TokenVerifier
    health: Health
    draining: asyncio.Event
    finishing: asyncio.Event
    local: LocalApps
    holder: str
    running: dict[str, Running] = field(default_factory=dict)

    def app(self, service: str) -> AsgiApp:
        """The app of a service that serves HTTP here. KeyError if it does not."""
        return self.local.apps[service]

    def drain(self) -> None:
        """Readiness off, nothing new taken; whoever holds sockets closes them."""
        self.health.draining = True
        self.draining.set()


def topics_of(services: Sequence[Service]) -> list[Topic]:
    """Every topic of the catalogue, and a parked topic for each service."""
    return [*topics.SHARED_TOPICS, *(topics.parked_topic(service.name) for service in services)]


async def migrate(infrastructure: Infrastructure, services: Sequence[Service]) -> None:
    """Makes topics, collections and indexes; idempotent."""
    await infrastructure.bus.ensure(topics_of(services))
    for service in services:
        await infrastructure.storage_of(service.name).migrate([*service.collections, ParkedKey])


async def schema_differences(infrastructure: Infrastructure, services: Sequence[Service]) -> list[str]:
    """In words, what `migrate` would change."""
    found = await infrastructure.bus.differences(topics_of(services))
    for service in services:
        storage = infrastructure.storage_of(service.name)
        found += [f"{service.name}: {one}" for one in await storage.differences([*service.collections, ParkedKey])]
    return found


async def schema_unknown(infrastructure: Infrastructure, services: Sequence[Service]) -> list[str]:
    """In words, what the databases have and nobody declares."""
    found: list[str] = []
    for service in services:
        storage = infrastructure.storage_of(service.name)
        found += [f"{service.name}: {one}" for one in await storage.unknown([*service.collections, ParkedKey])]
    return found


@asynccontextmanager
async def run_node(
    parts: Sequence[Part],
    *,
    settings: PlatformSettings,
    clock: Clock,
    infrastructure: Infrastructure,
    sealer: Sealer,
    keys: KeySet | None = None,
    apps: LocalApps | None = None,
) -> AsyncIterator[Node]:
    """Opens and runs the parts; inside the context everything is joined and has read what was there at the start."""
    apps = apps or LocalApps()
    tokens = TokenVerifier(keys or KeySet(_keys_from(settings, apps), clock), clock)
    node = Node(
        settings=settings,
        clock=clock,
        infrastructure=infrastructure,
        sealer=sealer,
        tokens=tokens,
        health=Health(checks={}),
        draining=asyncio.Event(),
        finishing=asyncio.Event(),
        local=apps,
        holder=f"{socket.gethostname()}-{os.getpid()}-{new_id('nod')[-8:]}",
    )
    async with AsyncExitStack() as stack:
        for part in parts:
            node.running[part.service.name] = await _open(stack, node, part)
        node.health.checks.update(_checks(node))
        async with together(_coroutines(node)) as tasks:
            try:
                await _until_caught_up(node)
                node.health.ready = True
                yield node
            finally:
                node.drain()
                await _finished(node, tasks)


async def _finished(node: Node, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Lets those that know of it finish what they have in hand; everything else runs on until then."""
    node.finishing.set()
    ending = set(_finishing(node))
    waited = [task for task in tasks if task.get_name() in ending]
    if waited:
        await asyncio.wait(waited, timeout=FINISH_S)


async def _open(stack: AsyncExitStack, node: Node, part: Part) -> Running:
    service = part.service
    storage = node.infrastructure.storage_of(service.name)
    reads = ReadsOwnWrites(storage)
    work = Work(storage, node.infrastructure.bus, node.clock, service.name)
    platform = Platform(
        service=service.name,
        settings=node.settings,
        clock=node.clock,
        storage=reads,
        blobs=node.infrastructure.blobs_of(service.name),
        bus=node.infrastructure.bus,
        work=work,
        tokens=node.tokens,
        sealer=node.sealer,
        freshness=Freshness(storage, node.infrastructure.bus, service.group_of),
        local=node.local,
        draining=node.draining,
        finishing=node.finishing,
        holder=node.holder,
    )
    deps = await stack.enter_async_context(service.build(part.settings, platform))
    app = _app(node, part, deps, storage, work)
    if app is not None:
        node.local.apps[service.name] = app
    speaking = [role.http(app) for role in part.roles.values() if role.http is not None]
    running = Running(part, storage, work, deps, app, speaking[0] if speaking else None)
    for name, role in part.roles.items():
        metrics.ROLE.labels(service.name, name).set(1)
        running.runners += _runners(node, part, name, role, storage, work, deps)
        running.readers += _readers(node, part, name, role, deps)
    return running


def _app(node: Node, part: Part, deps: Any, storage: Storage, work: Work) -> AsgiApp | None:
    """Raw ASGI roles take what they serve; FastAPI routers the rest of HTTP."""
    routers = [router for role in part.roles.values() for router in role.routers]
    raw = [role.asgi(deps) for role in part.roles.values() if role.asgi is not None]
    routed: AsgiApp | None = None
    if routers:
        # Here, because it brings FastAPI: a process without routes of its own does without those 15 MB.
        from nija_common.http.app import create_app

        remembers = IdempotentRequest in part.service.collections
        routed = create_app(
            service=part.service.name,
            routers=routers,
            deps=deps,
            tokens=node.tokens,
            clock=node.clock,
            idempotency=Idempotency(part.service.name, storage, work, node.sealer, node.clock) if remembers else None,
        )
    if not raw:
        return routed
    if routed is None:
        return raw[0]
    http, sockets = routed, raw[0]

    async def both(scope: Any, receive: Any, send: Any) -> None:
        await (sockets if scope["type"] == "websocket" else http)(scope, receive, send)

    return both


def _runners(
    node: Node, part: Part, name: str, role: Role, storage: Storage, work: Work, deps: Any
) -> list[ConsumerRunner]:
    subscriptions = [s for s in role.subscriptions if not s.broadcast]
    if not subscriptions:
        return []
    return [
        ConsumerRunner(
            service=part.service.name,
            group=part.service.group(name),
            subscriptions=subscriptions,
            deps=deps,
            storage=storage,
            bus=node.infrastructure.bus,
            work=work,
            codec=codec(),
            clock=node.clock,
        )
    ]


def _readers(node: Node, part: Part, name: str, role: Role, deps: Any) -> list[BroadcastReader]:
    subscriptions = [s for s in role.subscriptions if s.broadcast]
    if not subscriptions:
        return []
    return [
        BroadcastReader(
            name=part.service.group(name),
            subscriptions=subscriptions,
            deps=deps,
            bus=node.infrastructure.bus,
            codec=codec(),
            clock=node.clock,
        )
    ]


def _coroutines(node: Node) -> list[tuple[str, Any]]:
    """Everything that runs for as long as the process does."""
    found: list[tuple[str, Any]] = [("loop lag", watch_lag())]
    for name, running in node.running.items():
        found += [(f"{name} consumer", runner.run()) for runner in running.runners]
        found += [(f"{name} consumer watch", _watch(node, running, runner)) for runner in running.runners]
        found += [(f"{name} reader", reader.run()) for reader in running.readers]
        for role in running.part.roles.values():
            found += [(f"{name} {task.name}", task.run(running.deps)) for task in role.tasks]
            found += [
                (
                    f"{name} {loop.name}",
                    run_loop(
                        loop,
                        service=name,
                        deps=running.deps,
                        storage=running.storage,
                        clock=node.clock,
                        holder=node.holder,
                        finishing=node.finishing,
                    ),
                )
                for loop in role.loops
            ]
        outbox = node.infrastructure.outbox_of(name) if running.part.roles else None
        if outbox is not None:
            relay = Relay(
                service=name,
                outbox=outbox,
                storage=running.storage,
                bus=node.infrastructure.bus,
                clock=node.clock,
                holder=node.holder,
            )
            found.append((f"{name} relay", relay.run()))
    if node.infrastructure.prune is not None:
        found.append(("prune", _prune(node)))
    return found


async def _watch(node: Node, running: Running, runner: ConsumerRunner) -> None:
    await watch_group(
        runner.group,
        runner.topics,
        runner.positions,
        bus=node.infrastructure.bus,
        storage=running.storage,
        clock=node.clock,
    )


def _finishing(node: Node) -> list[str]:
    """The names of the coroutines that end by themselves once `finishing` is set."""
    found: list[str] = []
    for name, running in node.running.items():
        for role in running.part.roles.values():
            found += [f"{name} {loop.name}" for loop in role.loops]
            found += [f"{name} {task.name}" for task in role.tasks if task.finishes]
    return found


async def _prune(node: Node) -> None:
    assert node.infrastructure.prune is not None
    while True:
        await node.clock.sleep(PRUNE_EVERY_S)
        await node.infrastructure.prune()


async def _until_caught_up(node: Node) -> None:
    """Waits for state topics to be applied to the end they had now, and for broadcasts to have been seen."""
    for running in node.running.values():
        for runner in running.runners:
            await runner.joined.wait()
        for reader in running.readers:
            await reader.caught_up.wait()
    for running in node.running.values():
        for name, role in running.part.roles.items():
            for subscription in role.subscriptions:
                if not subscription.broadcast and subscription.topic.kind is Kind.STATE:
                    await _applied(node, running, running.part.service.group(name), subscription.topic)


async def _applied(node: Node, running: Running, group: str, topic: Topic) -> None:
    ends = await _ends(node, [TopicPartition(topic.name, p) for p in range(topic.partitions)])
    while True:
        progress = await running.storage.progress(group, topic.name)
        if all(progress.get(place.partition, 0) >= end for place, end in ends.items()):
            return
        await asyncio.sleep(0.02)


async def _ends(node: Node, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """Where partitions end; a bus that does not answer yet is waited for: the node is not ready meanwhile, and says so."""
    while True:
        try:
            return await node.infrastructure.bus.ends(places)
        except BusUnavailable as error:
            log.warning("start_waits_for_bus", reason=str(error))
            await asyncio.sleep(BUS_AGAIN_S)


def _checks(node: Node) -> dict[str, Check]:
    async def store() -> str | None:
        try:
            for running in node.running.values():
                await running.storage.now_ms()
        except NijaError as error:
            return error.message
        return None

    async def bus() -> str | None:
        try:
            await node.infrastructure.bus.ends([TopicPartition(topics.USERS.name, 0)])
        except BusUnavailable as error:
            return str(error) or "not reached"
        return None

    return {"store": store, "bus": bus}


def _keys_from(settings: PlatformSettings, apps: LocalApps) -> Any:
    """How auth's public keys are fetched: from its app in this process, else from `NIJA_JWKS_URL`."""

    async def fetch() -> Mapping[str, Any]:
        auth = apps.apps.get("auth")
        if auth is not None:
            status, body = await local.get(auth, "/.well-known/jwks.json")
            if status != 200:
                raise OSError(f"auth answered {status}")
        elif settings.jwks_url is not None:
            body = await asyncio.to_thread(_download, settings.jwks_url)
        else:
            raise SettingsError("NIJA_JWKS_URL: missing; a service needs it to verify tokens")
        document: Mapping[str, Any] = orjson.loads(body)
        return document

    return fetch


def _download(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=2.0) as answer:
        body: bytes = answer.read()
        return body
