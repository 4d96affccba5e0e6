"""What the gateway does on its own: keeps sign-in keys fresh, returns rate tokens that lie unused, tells who called."""

from __future__ import annotations

import asyncio
from collections import deque

import structlog

from nija_common.runtime.manifest import Loop, Task
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.telemetry import metrics
from nija_gateway.deps import Deps
from nija_gateway.handlers import usage

log = structlog.get_logger(__name__)

LAST_FLUSH_S = 5.0
"""How long a process that ends tries to tell what it has counted."""


async def refresh_keys(deps: Deps) -> None:
    """Fetches auth's public keys: a key that auth has withdrawn stops being accepted. Known ones stay while auth is away."""
    await deps.tokens.refresh()


async def return_unused(deps: Deps) -> None:
    """Gives other replicas what this one has drawn and not used for a second."""
    await deps.windows.tidy()


async def tell_usage(deps: Deps) -> None:
    """Tells every `usage_flush_s` what has been counted, sooner at first, and once more when the process ends.

    At first after 1, 2, 4, ... seconds: who asks a platform that has just started for its figures finds some. What could
    not be committed is committed again as it is, under its own id: told once, even where the outcome of the first try
    is not known. Counting goes on meanwhile.
    """
    untold: deque[UnitOfWork] = deque()
    pause_s = 1
    try:
        while True:
            await deps.clock.sleep(min(pause_s, deps.usage_flush_s))
            pause_s = min(2 * pause_s, deps.usage_flush_s)
            await _try_to_tell(deps, untold)
    finally:
        try:
            async with asyncio.timeout(LAST_FLUSH_S):
                if untold:
                    await _try_to_tell(deps, untold)
                if not untold:
                    await _try_to_tell(deps, untold)
        except TimeoutError:
            log.warning("usage_not_told", commits=len(untold))


async def _try_to_tell(deps: Deps, untold: deque[UnitOfWork]) -> None:
    try:
        if not untold:
            untold += usage.collect(deps)
        while untold:
            await deps.work.commit(untold[0])
            untold.popleft()
    except Exception as error:
        metrics.LOOP_FAILURES.labels("gateway", USAGE.name).inc()
        log.error("loop_failed", service="gateway", loop=USAGE.name, exc_info=error)


LOOPS = (
    Loop("sign-in-keys", 60.0, refresh_keys, leased=False),
    Loop("unused-tokens", 0.5, return_unused, leased=False),
)

USAGE = Task("usage", tell_usage)
