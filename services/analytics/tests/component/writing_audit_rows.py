"""Run by `test_audit_kill.py`: analytics on FOLDER, with audit events coming in until it is killed.

    python writing_audit_rows.py FOLDER ROUND

FOLDER/<ROUND>.acks gets the ids of rows that are in the audit log, a line for each batch.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from nija_analytics.service import SERVICE
from nija_common.events.deliveries import AuditRecorded
from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.events import example_of
from nija_common.values.clock import SystemClock

BATCH = 30


async def write(platform: TestPlatform, name: str, acks: int) -> None:
    number = 0
    while True:
        ids = [f"log_{name}_{number + i}" for i in range(BATCH)]
        rows = [example_of(AuditRecorded, log_id=each, user_id=f"usr_{i % 3}") for i, each in enumerate(ids)]
        await platform.given_events(*rows, source=name)
        os.write(acks, (" ".join(ids) + "\n").encode())
        number += BATCH


async def main(folder: Path, name: str) -> None:
    acks = os.open(folder / f"{name}.acks", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    async with start_platform(folder, [SERVICE], clock=SystemClock()) as platform:
        await asyncio.gather(*(write(platform, f"{name}{writer}", acks) for writer in "ab"))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
