"""Argon2id off the event loop: a few at once, a bounded queue behind them, the rest refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from nija_auth.domain.passwords import check_strength, normalised
from nija_auth.settings import PasswordSettings
from nija_common.errors import unavailable

T = TypeVar("T")


class Hashing:
    """Hashes and verifies passwords. Memory is bounded by `at_once` hashes whatever the number of callers."""

    def __init__(self, settings: PasswordSettings) -> None:
        self._hasher = PasswordHasher(time_cost=settings.time_cost, memory_cost=settings.memory_kib, parallelism=1)
        self._threads = ThreadPoolExecutor(settings.at_once, thread_name_prefix="argon2")
        self._room = settings.at_once + settings.waiting
        self.in_hand = 0
        self._nobody = self._hasher.hash("nobody's password")

    async def hash(self, password: str) -> str:
        """A new hash. Raises SERVICE_UNAVAILABLE when too many wait."""
        return await self._off_loop(lambda: self._hasher.hash(normalised(password)))

    async def verify(self, password: str, stored: str | None) -> bool:
        """Whether the password is the one; for nobody's hash (None) the same work is done, and the answer is no."""

        def check() -> bool:
            try:
                return self._hasher.verify(stored or self._nobody, normalised(password)) and stored is not None
            except (VerificationError, InvalidHashError):
                return False

        return await self._off_loop(check)

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    async def check_strength(self, password: str, email: str, full_name: str) -> None:
        """`domain.passwords.check_strength`, which takes a while. Raises WEAK_PASSWORD."""
        await self._off_loop(lambda: check_strength(password, email, full_name))

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        if self.in_hand >= self._room:
            raise unavailable("Too many sign-ins at once. Try again.", retry_after=2)
        self.in_hand += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self.in_hand -= 1
