"""What the driver raises while no server can be reached is a store that is away, also where it trips over itself."""

from __future__ import annotations

import pytest

from nija_common.errors import ErrorCode, NijaError
from nija_common.storage.mongo_errors import translated


async def test_a_lock_that_the_driver_has_lost_is_a_store_that_is_away() -> None:
    with pytest.raises(NijaError) as caught, translated():
        raise RuntimeError("cannot wait on un-acquired lock")
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE


async def test_any_other_error_of_a_program_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="something else"), translated():
        raise RuntimeError("something else")
