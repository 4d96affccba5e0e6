"""Starting while the bus does not answer yet: the service waits for it, and then has what was published before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nija_accounts.service import SERVICE
from nija_common.bus.port import BusUnavailable
from nija_common.bus.sqlite import SqliteBus
from nija_common.runtime import node
from nija_common.testing import start_platform
from nija_common.values.clock import ManualClock


async def test_a_start_waits_for_a_bus_that_does_not_answer_yet(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SqliteBus.ends
    refused: list[object] = []

    async def ends(self: SqliteBus, places: Any) -> Any:
        if len(refused) < 3:
            refused.append(places)
            raise BusUnavailable("no broker answers")
        return await real(self, places)

    monkeypatch.setattr(SqliteBus, "ends", ends)
    monkeypatch.setattr(node, "BUS_AGAIN_S", 0.0)
    async with start_platform(tmp_path / "late", [SERVICE], clock=clock):
        assert len(refused) == 3, "it went on asking until it was answered"
