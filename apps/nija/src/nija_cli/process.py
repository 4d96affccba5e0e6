"""How a command runs: its event loop, its log, and what it says when it fails."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

import structlog

from nija_cli.endings import fail
from nija_common.bus.port import BusUnavailable
from nija_common.errors import NijaError, SettingsError

log = structlog.get_logger(__name__)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs a command to its end. What a user can put right is one line; anything else is logged in full."""
    reason: str | None = None
    try:
        _run(main)
    except* (SettingsError, NijaError, BusUnavailable) as group:
        error = _first(group)
        reason = error.message if isinstance(error, NijaError) else str(error)
    if reason is not None:
        fail(reason)


def _run(main: Coroutine[Any, Any, None]) -> None:
    if sys.platform == "win32":
        asyncio.run(main)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
