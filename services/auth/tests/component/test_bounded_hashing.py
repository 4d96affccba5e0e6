"""Hashing is bounded: a few at once, some waiting, the rest told to come again; the event loop goes on (promise 26)."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from nija_auth.adapters.hashing import Hashing
from nija_auth.service import SERVICE
from nija_auth.settings import PasswordSettings
from nija_common.errors import ErrorCode, NijaError
from nija_common.testing import start_platform
from nija_common.values.clock import ManualClock

STATUS = Path("/proc/self/status")


def resident_mib() -> float:
    for line in STATUS.read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def test_the_defaults_are_the_ones_decided() -> None:
    settings = PasswordSettings()
    assert (settings.memory_kib, settings.time_cost, settings.at_once) == (19 * 1024, 2, 2)


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.is_file(), reason="resident memory is read from /proc, which this system does not have")
async def test_a_hundred_logins_at_once_hash_two_at_a_time_in_bounded_memory_beside_a_living_loop(
    tmp_path: Path, clock: ManualClock, auth: Any
) -> None:
    """With the real parameters: all at once would take 1.9 GiB."""
    async with start_platform(tmp_path / "real", [SERVICE], clock=clock) as platform:
        client = type(auth)(platform)
        assert (await client.register()).status_code == 201
        before = resident_mib()
        logins = asyncio.gather(*(client.login() for _ in range(100)))
        peak, threads = before, 0
        pauses: list[float] = []
        while not logins.done():
            at = time.perf_counter()
            await asyncio.sleep(0.001)
            pauses.append(time.perf_counter() - at)
            peak = max(peak, resident_mib())
            threads = max(threads, sum(t.name.startswith("argon2") for t in threading.enumerate()))
        assert [a.status_code for a in await logins] == [200] * 100
    assert threads <= 4, "two of this platform and two of the fixture's"
    assert peak - before < 200
    # One slow turn is the machine's; a hash on the loop would make most of them slow.
    assert statistics.quantiles(pauses, n=20)[-1] < 0.1


async def test_too_many_waiting_are_told_when_to_come_again_and_nothing_is_left_behind() -> None:
    hashing = Hashing(PasswordSettings(memory_kib=64, time_cost=1, at_once=2, waiting=3))
    try:
        results = await asyncio.gather(*(hashing.hash("x" * 12) for _ in range(20)), return_exceptions=True)
        refusals = [r for r in results if isinstance(r, NijaError)]
        assert len(refusals) == 15
        assert {(r.code, r.retry_after) for r in refusals} == {(ErrorCode.SERVICE_UNAVAILABLE, 2)}
        assert hashing.in_hand == 0
        assert await hashing.verify("x" * 12, next(r for r in results if isinstance(r, str)))
    finally:
        hashing.close()


async def test_a_full_pool_is_a_503_with_retry_after(
    tmp_path: Path, clock: ManualClock, auth: Any, expect_refusal: Any
) -> None:
    env = {"NIJA_PASSWORD__AT_ONCE": "1", "NIJA_PASSWORD__WAITING": "1"}
    async with start_platform(tmp_path / "small", [SERVICE], clock=clock, env=env) as platform:
        client = type(auth)(platform)
        answers = await asyncio.gather(*(client.login() for _ in range(12)))
        busy = [a for a in answers if a.status_code != 401]
        assert busy
        for answer in busy:
            expect_refusal(answer, 503, "SERVICE_UNAVAILABLE")
            assert answer.headers["retry-after"] == "2"


async def test_passwords_are_not_truncated_and_differ_in_their_last_character() -> None:
    hashing = Hashing(PasswordSettings(memory_kib=64, time_cost=1))
    try:
        for alphabet in ("a", "ж", "🌋"):
            stored = await hashing.hash(alphabet * 127 + "x")
            assert await hashing.verify(alphabet * 127 + "x", stored)
            assert not await hashing.verify(alphabet * 127 + "y", stored)
            assert not await hashing.verify(alphabet * 127, stored)
        assert not await hashing.verify("nobody's password", None)
    finally:
        hashing.close()


async def test_of_250_at_once_two_are_hashed_200_wait_and_the_rest_are_refused_at_once() -> None:
    hashing = Hashing(PasswordSettings(memory_kib=8, time_cost=1))
    try:
        calls = [asyncio.create_task(hashing.verify("x" * 12, None)) for _ in range(250)]
        await asyncio.sleep(0)
        refused = [call for call in calls if call.done()]
        assert len(refused) == 48
        assert all(isinstance(call.exception(), NijaError) for call in refused)
        assert hashing.in_hand == 202
        assert await asyncio.gather(*(call for call in calls if call not in refused)) == [False] * 202
    finally:
        hashing.close()


async def test_callers_who_hang_up_give_their_place_back() -> None:
    hashing = Hashing(PasswordSettings(memory_kib=64, time_cost=1, at_once=1, waiting=4))
    try:
        for _ in range(20):
            calls = [asyncio.create_task(hashing.hash("x" * 12)) for _ in range(5)]
            await asyncio.sleep(0)
            assert hashing.in_hand == 5
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            assert hashing.in_hand == 0
        assert await hashing.hash("x" * 12)
    finally:
        hashing.close()
