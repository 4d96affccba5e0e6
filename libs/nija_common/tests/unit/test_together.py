"""Parts that run together: whichever fails, or is cancelled by what it calls, ends the whole."""

from __future__ import annotations

import asyncio

import pytest

from nija_common.runtime.together import together


async def lasts() -> None:
    await asyncio.sleep(60)


async def test_a_part_that_fails_ends_the_body_and_is_raised() -> None:
    async def fails() -> None:
        raise OSError("gone")

    with pytest.raises(ExceptionGroup) as caught:
        async with together([("one", lasts()), ("two", fails())]):
            await asyncio.sleep(60)
    assert [str(error) for error in caught.value.exceptions] == ["gone"]


async def test_a_part_that_is_cancelled_from_within_has_failed() -> None:
    async def awaits_what_it_has_cancelled() -> None:
        inner = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        inner.cancel()
        await inner

    with pytest.raises(ExceptionGroup) as caught:
        async with together([("accounts consumer", awaits_what_it_has_cancelled())]):
            await asyncio.sleep(60)
    assert [str(error) for error in caught.value.exceptions] == ["accounts consumer was cancelled from within"]


async def test_the_end_of_the_body_ends_every_part_also_one_that_had_not_begun() -> None:
    async with together([("one", lasts())]) as tasks:
        pass
    assert all(task.cancelled() for task in tasks)
