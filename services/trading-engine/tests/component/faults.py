"""Stores that do what SIGKILL and SIGSTOP do to a process, seen from inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from nija_common.errors import unavailable
from nija_common.runtime.manifest import Service
from nija_common.runtime.platform import Platform
from nija_common.storage.port import Commit
from nija_common.storage.unit_of_work import Work
from nija_common.values.clock import SystemClock
from nija_trading.domain.account import Account
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
