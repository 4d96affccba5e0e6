"""What a look has found, and how looks are made so that one that fails does not keep the others from looking."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Literal

from nija_cli.endings import Failed
from nija_common.bus.port import BusUnavailable
from nija_common.errors import NijaError, SettingsError

Level = Literal["ok", "warn", "fail"]
LOOK_S = 20.0
HIDDEN = "***"

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_QUERY = re.compile(r"(?<=\S)\?\S+")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: where, what, and what to do where something is to be done. Never holds a secret."""

    level: Level
    area: str
    text: str
    todo: str = ""


def ok(area: str, text: str) -> Finding:
    """All is well."""
    return Finding("ok", area, text)


def warn(area: str, text: str, todo: str) -> Finding:
    """It works; somebody should look."""
    return Finding("warn", area, text, todo)


def fail(area: str, text: str, todo: str) -> Finding:
    """It does not work."""
    return Finding("fail", area, text, todo)


def shown(text: str) -> str:
    """An address or another value without what may be secret in it: credentials, and what follows a question mark."""
    return _QUERY.sub(f"?{HIDDEN}", _CREDENTIALS.sub(f"{HIDDEN}@", text))


async def looked(area: str, look: Awaitable[Sequence[Finding]], todo: str) -> list[Finding]:
    """What a look finds; an error that it meets is a finding too."""
    try:
        async with asyncio.timeout(LOOK_S):
            return list(await look)
    except TimeoutError:
        return [fail(area, f"no answer within {LOOK_S:.0f} s", todo)]
    except (NijaError, SettingsError, Failed, BusUnavailable, OSError, sqlite3.Error) as error:
        reason = error.message if isinstance(error, NijaError) else str(error) or type(error).__name__
        return [fail(area, reason.splitlines()[0], todo)]
