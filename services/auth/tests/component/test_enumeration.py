"""Nobody learns from login or reset who has an account: not from the words, not from the time (promise 27)."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from nija_auth.service import SERVICE
from nija_common.testing import start_platform
from nija_common.testing.long_run import LONG
from nija_common.values.clock import ManualClock

SAMPLES = 1_000 if LONG else 300
ROUNDS = 3
ADVANTAGE = 0.65
"""How often a guess by time alone may be right; 0.5 is chance. Without the work for strangers it is near 1."""


@pytest.fixture
async def calls(tmp_path: Path, clock: ManualClock, auth: Any) -> AsyncIterator[Any]:
    """A hash long enough (about 2 ms) to be seen if it were left out, short enough for many samples."""
    hashing = {"NIJA_PASSWORD__MEMORY_KIB": "2048", "NIJA_PASSWORD__TIME_COST": "1"}
    async with start_platform(tmp_path / "timed", [SERVICE], clock=clock, env=hashing) as platform:
        client = type(auth)(platform)
        assert (await client.register()).status_code == 201
        yield client


async def one(calls: Any, path: str, email: str, n: int) -> tuple[float, Any]:
    body = {"email": email} if path == "reset-password" else {"email": email, "password": "Wrong-Harbour-99x"}
    if n % 8 == 0:
        # Past the quarter of an hour after which failures are forgotten: no sample meets a lock.
        calls.platform.clock.advance(901)
    client = calls.platform.client("auth")
    started = time.perf_counter()
    answer = await client.post(f"/api/v1/auth/{path}", json=body)
    return time.perf_counter() - started, answer


def advantage(known: list[float], strangers: list[float]) -> float:
    """The chance that one sample of each, drawn at random, is put in the right order (area under the ROC curve)."""
    ranked = sorted([(t, 1) for t in known] + [(t, 0) for t in strangers])
    ranks = sum(rank for rank, (_, who) in enumerate(ranked, 1) if who)
    area = (ranks - len(known) * (len(known) + 1) / 2) / (len(known) * len(strangers))
    return max(area, 1 - area)


@pytest.mark.slow
@pytest.mark.timeout(600)  # two thousand calls a round of the long run, each with its commit
@pytest.mark.parametrize("path", ["login", "reset-password"])
async def test_known_and_unknown_emails_cannot_be_told_apart(calls: Any, path: str) -> None:
    seen: list[float] = []
    for _ in range(ROUNDS):
        times: dict[str, list[float]] = {"ada@nija.example": [], "bob@nija.example": []}
        bodies: dict[str, set[bytes]] = {email: set() for email in times}
        headers: dict[str, set[tuple[str, ...]]] = {email: set() for email in times}
        order = [email for email in times for _ in range(SAMPLES)]
        random.shuffle(order)
        for n, email in enumerate(order):
            took, answer = await one(calls, path, email, n)
            assert answer.status_code == (401 if path == "login" else 200)
            times[email].append(took)
            body = answer.json()
            stamp = body.pop("timestamp").encode()
            bodies[email].add(answer.content.replace(stamp, b""))
            headers[email].add(tuple(sorted(name for name in answer.headers)))
        known, stranger = times
        assert bodies[known] == bodies[stranger] and len(bodies[known]) == 1
        assert headers[known] == headers[stranger]
        seen.append(advantage(times[known], times[stranger]))
        if statistics.median(seen) < ADVANTAGE:
            return
    raise AssertionError(f"who has an account can be told by time: right in {[f'{a:.0%}' for a in seen]} of guesses")


async def test_the_measure_would_notice_if_strangers_were_answered_without_the_hash(calls: Any) -> None:
    hashed, skipped = [], []
    for n in range(60):
        hashed.append((await one(calls, "login", "ada@nija.example", n))[0])
        started = time.perf_counter()
        await calls.call("POST", "login", {"email": "ada@nija.example"})
        skipped.append(time.perf_counter() - started)
    assert advantage(hashed, skipped) > ADVANTAGE
