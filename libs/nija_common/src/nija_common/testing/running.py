"""Services running in the test's own process on the real embedded platform: SQLite store and bus, no network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nija_common.bus.port import Edge, TopicPartition
from nija_common.events.base import Event, Received
from nija_common.events.catalogue import codec
from nija_common.events.topics import Topic
from nija_common.http import local
from nija_common.runtime import loops
from nija_common.runtime.infrastructure import open_infrastructure
from nija_common.runtime.key_encryption import sealer_of
from nija_common.runtime.manifest import Service
from nija_common.runtime.node import Node, Part, migrate, run_node
from nija_common.runtime.platform import LocalApps
from nija_common.runtime.settings import PlatformSettings, environment, load
from nija_common.security.tokens import Claims, KeySet, jwk_of, sign
from nija_common.storage.unit_of_work import Work
from nija_common.values.clock import Clock

E = TypeVar("E", bound=Event)

TEST_KEY_ID = "test-key"
DEADLINE_S = 10.0
TOKEN_SECONDS = 86_400


class TestPlatform:
    """The handle of a test on its running services."""

    __test__ = False

    def __init__(self, node: Node, key: Ed25519PrivateKey) -> None:
        self.node = node
        self.clock: Any = node.clock
        self._key = key
        self._producers: dict[str, Work] = {}
        self._clients: list[httpx.AsyncClient] = []

    def app(self, service: str) -> Any:
        """The ASGI app of a service."""
        return self.node.app(service)

    def deps(self, service: str) -> Any:
        """The deps that the service's `build` made."""
        return self.node.running[service].deps

    def client(self, service: str, token: str | None = None) -> httpx.AsyncClient:
        """A client straight to that service's app."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(app=self.app(service), raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers)
        self._clients.append(client)
        return client

    def token(
        self,
        user_id: str,
        *,
        role: Any = "user",
        session_id: str = "ses_test",
        session_at_ms: int | None = None,
        registered_at_ms: int | None = None,
    ) -> str:
        """An access token signed with a key that every verifier here knows."""
        now_ms = self.node.clock.now_ms()
        claims = Claims(
            user_id=user_id,
            session_id=session_id,
            role=role,
            issued_at=now_ms // 1000,
            expires_at=now_ms // 1000 + TOKEN_SECONDS,
            session_at_ms=now_ms if session_at_ms is None else session_at_ms,
            registered_at_ms=now_ms if registered_at_ms is None else registered_at_ms,
        )
        return sign(claims, self._key, TEST_KEY_ID)

    async def given_events(self, *events: Event, source: str = "given") -> None:
        """Appends events as that producer would, then waits until they are applied everywhere."""
        work = self._producers.get(source)
        if work is None:
            infrastructure = self.node.infrastructure
            work = Work(infrastructure.storage_of(source), infrastructure.bus, self.node.clock, source)
            self._producers[source] = work
        uow = work.open()
        uow.emit(*events)
        await work.commit(uow)
        await self.settled()

    async def settled(self) -> None:
        """Waits until every consumer has applied, and every broadcast reader seen, what is on the log, and nothing new came."""
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        before: Mapping[TopicPartition, int] | None = None
        while True:
            ends = await self._all_ends()
            if await self._applied(ends) and ends == before:
                return
            before = ends
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError("the consumers did not come to rest")
            await asyncio.sleep(0.002)

    async def received(self, kind: type[E]) -> list[Received[E]]:
        """Every event of that class on the log, in order within each partition."""
        topic = kind.topic
        places = [TopicPartition(topic.name, p) for p in range(topic.partitions)]
        ends = await self.node.infrastructure.bus.ends(places)
        found: list[Received[Any]] = []
        reading = codec()
        async with self.node.infrastructure.bus.read(dict.fromkeys(places, Edge.BEGINNING)) as reader:
            while any(reader.position(place) < end for place, end in ends.items()):
                for record in await reader.poll(1000, 0.05):
                    event = reading.decode(
                        record.value, key=record.key or "", partition=record.partition, offset=record.offset
                    )
                    if event is not None and isinstance(event.event, kind):
                        found.append(event)
        return sorted(found, key=lambda r: (r.time_ms, r.partition, r.offset))

    async def emitted(self, kind: type[E]) -> list[E]:
        """The payloads alone."""
        return [received.event for received in await self.received(kind)]

    async def run_loop(self, service: str, name: str) -> None:
        """One turn of a loop, now."""
        running = self.node.running[service]
        for role in running.part.roles.values():
            for loop in role.loops:
                if loop.name == name:
                    await loops.turn(loop, deps=running.deps, storage=running.storage, holder=self.node.holder)
                    return
        raise KeyError(f"{service} has no loop {name}")

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    def _topics(self) -> set[Topic]:
        return {
            subscription.topic
            for running in self.node.running.values()
            for role in running.part.roles.values()
            for subscription in role.subscriptions
        }

    async def _all_ends(self) -> dict[TopicPartition, int]:
        places = [TopicPartition(t.name, p) for t in self._topics() for p in range(t.partitions)]
        return await self.node.infrastructure.bus.ends(places)

    async def _applied(self, ends: Mapping[TopicPartition, int]) -> bool:
        for running in self.node.running.values():
            for name, role in running.part.roles.items():
                for subscription in role.subscriptions:
                    if subscription.broadcast:
                        continue
                    topic = subscription.topic
                    progress = await running.storage.progress(running.part.service.group(name), topic.name)
                    if any(progress.get(p, 0) < ends[TopicPartition(topic.name, p)] for p in range(topic.partitions)):
                        return False
            for reader in running.readers:
                if not reader.seen(ends):
                    return False
        return True


@asynccontextmanager
async def start_platform(
    data_dir: Path,
    services: Sequence[Service],
    *,
    clock: Clock,
    env: Mapping[str, str] | None = None,
    roles: Mapping[str, Sequence[str]] | None = None,
) -> AsyncIterator[TestPlatform]:
    """Runs the services with their real parts in `data_dir`. `roles` limits a service to some of its roles.

    Tokens are verified with a key of the test's own and, where auth is among the services, with auth's.
    """
    variables = environment(env or {}, dotenv=None)
    settings = load(PlatformSettings, variables, {"data_dir": data_dir})
    parts = [
        Part(
            service,
            {n: r for n, r in service.roles.items() if roles is None or n in roles.get(service.name, service.roles)},
            load(service.settings, variables),
        )
        for service in services
    ]
    key = Ed25519PrivateKey.generate()
    apps = LocalApps()
    async with open_infrastructure(settings, clock) as infrastructure:
        await migrate(infrastructure, services)
        async with run_node(
            parts,
            settings=settings,
            clock=clock,
            infrastructure=infrastructure,
            sealer=sealer_of(settings, may_make=True),
            keys=KeySet(_fetch(key, apps), clock),
            apps=apps,
        ) as node:
            platform = TestPlatform(node, key)
            try:
                yield platform
            finally:
                await platform.close()


def _fetch(key: Ed25519PrivateKey, apps: LocalApps) -> Any:
    async def fetch() -> Mapping[str, Any]:
        keys: list[Any] = [jwk_of(key.public_key(), TEST_KEY_ID)]
        if "auth" in apps.apps:
            _, body = await local.get(apps.apps["auth"], "/.well-known/jwks.json")
            keys += orjson.loads(body)["keys"]
        return {"keys": keys}

    return fetch
