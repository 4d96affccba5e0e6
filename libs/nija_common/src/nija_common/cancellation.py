"""Cancellation that libraries lose on the way.

Up to Python 3.11 `asyncio.wait_for` forgets a cancellation that comes in the same turn of the loop as its result,
and the drivers of MongoDB and Kafka use it. Whoever cancelled the task would wait for its end for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heeding_cancellation() -> Iterator[None]:
    """Ends with CancelledError if the task was cancelled inside and did not notice. Goes around a driver's calls."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
