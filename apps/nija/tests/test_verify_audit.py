"""`nija admin verify-audit` as an operator meets it: beside a running platform, and after somebody was at the file."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from nija_analytics.domain.audit import chain_of
from nija_analytics.service import SERVICE
from nija_common.events.deliveries import AuditRecorded
from nija_common.testing import start_platform
from nija_common.testing.events import example_of
from nija_common.testing.platforms import run_nija
from nija_common.values.clock import SystemClock

USERS = ("usr_a", "usr_b")


def verified(data_dir: Path) -> subprocess.CompletedProcess[str]:
    return run_nija(["admin", "verify-audit", "--data-dir", str(data_dir)], env={})


async def written_and_verified(data_dir: Path) -> subprocess.CompletedProcess[str]:
    rows = [example_of(AuditRecorded, user_id=user, log_id=f"log_{user}_{n}") for user in USERS for n in (1, 2, 3)]
    async with start_platform(data_dir, [SERVICE], clock=SystemClock()) as platform:
        await platform.given_events(*rows, source="auth")
        return await asyncio.to_thread(verified, data_dir)


def test_an_intact_log_is_told_and_of_a_broken_one_the_first_row_of_each_chain(tmp_path: Path) -> None:
    intact = asyncio.run(written_and_verified(tmp_path))
    assert (intact.returncode, intact.stderr) == (0, "")
    assert intact.stdout == "the audit log is whole: 6 rows in 2 chains\n"
    with closing(sqlite3.connect(tmp_path / "nija.sqlite3", isolation_level=None)) as connection:
        edit = "UPDATE analytics__audit_log SET body = json_set(body, '$.actor', 'nobody') WHERE id = 'log_usr_a_2'"
        assert connection.execute(edit).rowcount == 1
        assert connection.execute("DELETE FROM analytics__audit_log WHERE id = 'log_usr_b_3'").rowcount == 1
    broken = verified(tmp_path)
    assert broken.returncode == 1
    assert broken.stderr == "nija: the audit log is not whole: 2 chains are broken\n"
    assert sorted(broken.stdout.splitlines()) == sorted(
        [
            f"chain {chain_of('usr_a')}, row 2 (log_usr_a_2): its content is not what it was written with",
            f"chain {chain_of('usr_b')}, row 3: it and all up to number 3 are missing",
        ]
    )
