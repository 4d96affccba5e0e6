"""Cancellation that libraries lose on the way.

Up to Python 3.11 `asyncio.wait_for` forgets a cancellation that comes in the same turn of the loop as its result,
and the drivers of MongoDB and Kafka use it. Whoever cancelled the task would wait for its end for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def heeding_cancellation() -> Iterator[None]:
    """Ends with CancelledError if the task was cancelled inside and did not notice. Goes around a driver's calls."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


AGAIN_S = 0.2


async def ended(work: Coroutine[Any, Any, object], within_s: float) -> BaseException | None:
    """Runs a library's closing in a task of its own, for a bounded time. None if it came to its end, else why not.

    Closing cancels and awaits tasks of the library's own. Inside our task their CancelledError would pass for ours, and
    a consumer would end without a word; and a lost cancellation would keep us waiting for ever.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=within_s)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=AGAIN_S)
    if not task.done():
        return TimeoutError(f"not within {within_s:g} s")
    return asyncio.CancelledError() if task.cancelled() else task.exception()
