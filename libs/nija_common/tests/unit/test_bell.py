"""The outbox's bell: whoever waits is woken by a ring or by his own time, and by nothing else."""

from __future__ import annotations

import asyncio

from nija_common.storage.sqlite_outbox import Bell

LONG_S = 60.0


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_ring_wakes_everybody_who_waits() -> None:
    bell = Bell()
    waiting = [asyncio.create_task(bell.after(0, LONG_S)) for _ in range(3)]
    await turns()
    assert not any(task.done() for task in waiting)
    bell.ring()
    await asyncio.gather(*waiting)
    await bell.after(0, LONG_S)


async def test_after_a_wait_that_ran_out_the_next_one_waits_again() -> None:
    bell = Bell()
    await bell.after(0, 0.001)
    waiting = asyncio.create_task(bell.after(0, LONG_S))
    await turns()
    assert not waiting.done()
    bell.ring()
    await waiting
