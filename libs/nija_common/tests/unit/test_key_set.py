"""Keys of auth that hangs: whoever waits is told after one try, and who has keys need not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nija_common.errors import ErrorCode, NijaError
from nija_common.security.tokens import KeySet, jwk_of
from nija_common.values.clock import ManualClock

HANGS_S = 2.0


class Auth:
    """Hangs for two seconds of the clock at each try, or answers."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.hangs = True
        self.tries = 0

    async def fetch(self) -> Mapping[str, Any]:
        self.tries += 1
        if self.hangs:
            await asyncio.sleep(0)
            self._clock.advance(HANGS_S)
            raise TimeoutError("timed out")
        return {"keys": [jwk_of(Ed25519PrivateKey.generate().public_key(), "key")]}


async def test_callers_that_wait_share_one_try() -> None:
    clock = ManualClock()
    auth = Auth(clock)
    keys = KeySet(auth.fetch, clock)
    outcomes = await asyncio.gather(*(keys.refresh() for _ in range(10)), return_exceptions=True)
    assert {o.code for o in outcomes if isinstance(o, NijaError)} == {ErrorCode.SERVICE_UNAVAILABLE}
    assert len(outcomes) == 10
    assert auth.tries == 1
    clock.advance(KeySet.RETRY_S)
    with pytest.raises(NijaError):
        await keys.refresh()
    assert auth.tries == 2


async def test_who_has_keys_can_see_that_another_fetches() -> None:
    clock = ManualClock()
    auth = Auth(clock)
    auth.hangs = False
    keys = KeySet(auth.fetch, clock)
    await keys.refresh()
    auth.hangs = True
    clock.advance(KeySet.REFRESH_S + 1)
    assert keys.stale
    assert not keys.being_fetched
    first = asyncio.create_task(keys.refresh())
    await asyncio.sleep(0)
    assert keys.being_fetched
    await first
    assert auth.tries == 2
    assert keys.known
