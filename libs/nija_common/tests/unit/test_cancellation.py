"""Closings of libraries are bounded, and their own cancellations never pass for ours."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from nija_common.cancellation import ended


async def test_a_closing_that_comes_to_its_end_says_nothing() -> None:
    async def closing() -> None:
        await asyncio.sleep(0)

    assert await ended(closing(), 5) is None


async def test_a_task_that_the_library_cancels_and_awaits_does_not_end_ours() -> None:
    async def closing() -> None:
        fetch = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        fetch.cancel()
        await fetch

    assert isinstance(await ended(closing(), 5), asyncio.CancelledError)


async def test_an_error_is_answered() -> None:
    async def closing() -> None:
        raise OSError("gone")

    assert isinstance(await ended(closing(), 5), OSError)


async def test_a_closing_that_does_not_heed_its_cancellation_is_left_alone() -> None:
    go = asyncio.Event()

    async def closing() -> None:
        while not go.is_set():
            with suppress(asyncio.CancelledError):
                await go.wait()

    assert isinstance(await ended(closing(), 0.01), TimeoutError)
    go.set()
    await asyncio.sleep(0)


async def test_our_own_cancellation_is_ours() -> None:
    waiting = asyncio.create_task(ended(asyncio.sleep(60), 30))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
