"""A store that dies at a chosen commit, before or after it, and with it the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from nija_common.runtime.manifest import Service
from nija_common.runtime.platform import Platform
from nija_common.storage.port import Commit
from nija_common.storage.unit_of_work import Work
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


def mortal_service(storages: list[MortalStorage], at: int, when: str) -> Service:
    """Trading-engine on such a store; the store is appended to `storages` when it is built."""

    @asynccontextmanager
    async def build_mortal(settings: Any, platform: Platform) -> AsyncIterator[Any]:
        storage: Any = MortalStorage(platform.storage, at, when)
        storages.append(storage)
        work = Work(storage, platform.bus, platform.clock, platform.service)
        async with build(settings, replace(platform, storage=storage, work=work)) as deps:
            yield deps

    return replace(SERVICE, build=build_mortal)
