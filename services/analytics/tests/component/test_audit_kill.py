"""The audit log after SIGKILL in the middle of writing: every row that was there is there, and the chains are whole."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from nija_analytics.domain.audit import AuditRow
from nija_analytics.handlers.audit import verify
from nija_analytics.service import SERVICE
from nija_common.events.deliveries import AuditRecorded
from nija_common.testing import start_platform
from nija_common.values.clock import SystemClock

SCRIPT = Path(__file__).with_name("writing_audit_rows.py")
ROUNDS = 2
PATIENCE_S = 60


def killed_while_writing(folder: Path, name: str) -> list[str]:
    """The ids of rows of which the process said that they were in the log before it was killed."""
    acks = folder / f"{name}.acks"
    with subprocess.Popen([sys.executable, str(SCRIPT), str(folder), name]) as process:
        deadline = time.monotonic() + PATIENCE_S
        while not acks.exists() or acks.stat().st_size == 0:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        # A moment of the test's choosing: whatever it falls on has to do.
        time.sleep(random.Random(name).uniform(0, 0.2))
        process.kill()
    return acks.read_text().split()


async def test_a_kill_during_writes_leaves_whole_chains_that_hold_all_that_was_written(tmp_path: Path) -> None:
    said = [log_id for name in map(str, range(ROUNDS)) for log_id in killed_while_writing(tmp_path, name)]
    async with start_platform(tmp_path, [SERVICE], clock=SystemClock()) as platform:
        await platform.settled()
        deps = platform.deps("analytics")
        found = await verify(deps)
        told = {event.log_id for event in await platform.emitted(AuditRecorded)}
        kept = await deps.audit_log.storage.get_many(AuditRow, sorted(told))
    assert found.whole
    assert (found.rows, set(kept)) == (len(told), told)
    assert set(said) <= told and len(said) >= ROUNDS
