"""What auth needs from outside its domain."""

from __future__ import annotations

from typing import Protocol


class Passwords(Protocol):
    """Hashing off the event loop."""

    async def hash(self, password: str) -> str: ...

    async def verify(self, password: str, stored: str | None) -> bool: ...

    def outdated(self, stored: str) -> bool: ...

    async def check_strength(self, password: str, email: str, full_name: str) -> None: ...
