"""Stores that do what SIGKILL and SIGSTOP do to a process, seen from inside."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from nija_common.errors import unavailable
from nija_common.runtime.manifest import Service
from nija_common.runtime.platform import Platform
from nija_common.storage.port import Commit, Page
from nija_common.storage.unit_of_work import Work
from nija_common.telemetry.context import current_context
from nija_common.values.clock import SystemClock
from nija_trading.domain.account import Account
from nija_trading.domain.commands import Command
from nija_trading.ports import Broker
from nija_trading.service import SERVICE
from nija_trading.wiring import build


class Killed(Exception):
    """What a SIGKILL looks like from inside: nothing works from here on."""


class MortalStorage:
    """Passes everything on until commit number `at` that saves an account, once `armed`; then it is dead for good."""

    def __init__(self, inner: Any, at: int, when: str) -> None:
        self.inner = inner
        self.at = at
        self.when = when
        self.commits = 0
        self.armed = False
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not callable(found):
            return found

        async def call(*args: Any, **options: Any) -> Any:
            self._alive()
            return await found(*args, **options)

        return call

    async def commit(self, commit: Commit, *, deadline_s: float = 5.0) -> None:
        self._alive()
        counts = self.armed and any(isinstance(document, Account) for document in commit.saves)
        if counts:
            self.commits += 1
        hit = counts and self.commits == self.at
        if hit and self.when == "before":
            self._die()
        await self.inner.commit(commit, deadline_s=deadline_s)
        if hit:
            self._die()

    def _alive(self) -> None:
        if self.dead:
            raise Killed

    def _die(self) -> None:
        self.dead = True
        raise Killed


def mortal_service(storages: list[MortalStorage], at: int, when: str, service: Service = SERVICE) -> Service:
    """Trading-engine on such a store; the store is appended to `storages` when it is built."""

    @asynccontextmanager
    async def build_mortal(settings: Any, platform: Platform) -> AsyncIterator[Any]:
        storage: Any = MortalStorage(platform.storage, at, when)
        storages.append(storage)
        work = Work(storage, platform.bus, platform.clock, platform.service)
        async with service.build(settings, replace(platform, storage=storage, work=work)) as deps:
            yield deps

    return replace(service, build=build_mortal)


def dying(service: Service, storages: list[MortalStorage]) -> Service:
    """A service whose store dies when a test says so."""
    return mortal_service(storages, 0, "before", service)


class Life:
    """A process's life, as far as one story of it goes: every await of the ports store, bus and broker is named in
    `path`, before the call and once it has had its effect. At the name `ends` nothing works any more.

    A name says the how manieth of its kind it is, so that it is the same await in every run of the story, whatever
    runs beside it. What other stories do (leases, looks, steps) has no name here, but dies all the same.
    """

    def __init__(self, story: str, ends: str | None) -> None:
        self.story = story
        self.ends = ends
        self.path: list[str] = []
        self.dead = False
        self._counts: Counter[str] = Counter()

    def alive(self) -> None:
        if self.dead:
            raise Killed

    def at(self, what: str) -> None:
        """An await of the story. Raises Killed where its life ends."""
        self.alive()
        self._counts[what] += 1
        self.path.append(f"{what} #{self._counts[what]}")
        if self.path[-1] == self.ends:
            self.dead = True
            raise Killed


READS = ("get", "get_latest", "get_many", "versions", "find", "count", "now_ms", "leases")
"""What leaves no trace: a process that dies behind the answer is one that dies before its next call."""


class MortalPort:
    """A port of a process with such a life."""

    def __init__(self, inner: Any, name: str, life: Life) -> None:
        self.inner = inner
        self._name = name
        self._life = life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **options: Any) -> Any:
            life = self._life
            life.alive()
            told = current_context().correlation_id == life.story
            what = f"{self._name}.{name}{_kind(args)}"
            if told:
                life.at(f"before {what}")
            answer = await found(*args, **options)
            life.alive()
            if (told and name not in READS) or _brings(answer, life.story):
                life.at(f"after {what}")
            return answer

        return call


def _kind(args: tuple[Any, ...]) -> str:
    return f" {args[0].__name__}" if args and isinstance(args[0], type) else ""


def _brings(answer: Any, story: str) -> bool:
    """Whether the story begins anew with this answer: a look that has found its command."""
    rows = answer.items if isinstance(answer, Page) else ()
    return any(isinstance(row, Command) and row.correlation_id == story for row in rows)


def living_service(life: Life, broker: Broker) -> Service:
    """Trading-engine as a process with that life. The broker is elsewhere: it outlives the process."""

    @asynccontextmanager
    async def build_living(settings: Any, platform: Platform) -> AsyncIterator[Any]:
        storage: Any = MortalPort(platform.storage, "store", life)
        bus: Any = MortalPort(platform.bus, "bus", life)
        work = Work(storage, bus, platform.clock, platform.service)
        lives = replace(platform, storage=storage, bus=bus, work=work)
        mortal: Any = MortalPort(broker, "broker", life)
        async with build(settings, lives, broker=mortal) as deps:
            yield deps

    return replace(SERVICE, build=build_living)


class SleepingStorage:
    """Passes everything on, but nothing while `awake` is not set: a process that is stopped in the middle."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.awake = asyncio.Event()
        self.awake.set()
        self.commits = 0
        self.epochs: list[int] = []
        """Of every account that was saved here."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)

        async def call(*args: Any, **options: Any) -> Any:
            await self.awake.wait()
            return await found(*args, **options)

        return call

    async def commit(self, commit: Commit, *, deadline_s: float = 5.0) -> None:
        await self.awake.wait()
        await self.inner.commit(commit, deadline_s=deadline_s)
        self.commits += 1
        self.epochs += [document.epoch for document in commit.saves if isinstance(document, Account)]


class SleepingClock(SystemClock):
    """Its monotonic time stands still as well: the sleeper believes in its leases when it wakes."""

    def __init__(self) -> None:
        self.stopped_at: float | None = None

    def monotonic(self) -> float:
        return super().monotonic() if self.stopped_at is None else self.stopped_at


def sleeping_service(storages: list[SleepingStorage], clock: SleepingClock) -> Service:
    """Trading-engine whose worker can be put to sleep."""

    @asynccontextmanager
    async def build_sleeping(settings: Any, platform: Platform) -> AsyncIterator[Any]:
        storage: Any = SleepingStorage(platform.storage)
        storages.append(storage)
        work = Work(storage, platform.bus, clock, platform.service)
        async with build(settings, replace(platform, storage=storage, work=work, clock=clock)) as deps:
            yield deps

    return replace(SERVICE, build=build_sleeping)


class BlindStorage:
    """Cannot read the global switch while `blind`: a store whose primary is not sure of itself."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.blind = False
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def get_latest(self, *args: Any) -> Any:
        if self.blind:
            self.refused += 1
            raise unavailable("The store cannot say.")
        return await self.inner.get_latest(*args)


def blind_service(storages: list[BlindStorage]) -> Service:
    """Trading-engine on such a store."""

    @asynccontextmanager
    async def build_blind(settings: Any, platform: Platform) -> AsyncIterator[Any]:
        storage: Any = BlindStorage(platform.storage)
        storages.append(storage)
        async with build(settings, replace(platform, storage=storage)) as deps:
            yield deps

    return replace(SERVICE, build=build_blind)
