"""The parts of a process run together: one that fails ends them all, and the process with its error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def together(coroutines: Sequence[tuple[str, Any]]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Runs them beside the body: one that fails ends the body and is raised, the body's end cancels them all."""
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [_started(group, name, part) for name, part in coroutines]
            try:
                yield tasks
            except BaseException as error:
                failure = error
                raise
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as errors:
        if failure is not None and list(errors.exceptions) == [failure]:
            raise failure from None
        raise


def _started(group: asyncio.TaskGroup, name: str, part: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = group.create_task(_unless_cancelled(name, part), name=name)
    # One that is cancelled before its first step has never been awaited.
    task.add_done_callback(lambda _: part.close())
    return task


async def _unless_cancelled(name: str, part: Coroutine[Any, Any, None]) -> None:
    """A part that ends by a cancellation which nobody has asked for has failed: a task group would not miss it."""
    try:
        await part
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling() == 0:
            raise RuntimeError(f"{name} was cancelled from within") from None
        raise
