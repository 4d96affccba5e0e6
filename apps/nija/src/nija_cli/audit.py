"""The command that checks the audit log."""

from __future__ import annotations

from pathlib import Path

from nija_analytics.domain.audit import Fault
from nija_analytics.handlers.audit import verify
from nija_cli.maintenance import opened
from nija_common.errors import SettingsError


async def verify_audit(data_dir: Path | None) -> None:
    """`nija admin verify-audit`. Prints the first fault of each chain, then raises SettingsError; or says what is whole."""
    async with opened("analytics", data_dir) as (running, _):
        found = await verify(running.deps)
    for fault in found.faults:
        print(_line(fault))
    if found.astray:
        print(f"{found.astray} rows are in no chain")
    if not found.whole:
        raise SettingsError(f"the audit log is not whole: {len(found.faults)} chains are broken")
    print(f"the audit log is whole: {found.rows} rows in {found.chains} chains")


def _line(fault: Fault) -> str:
    row = f"row {fault.number}" + (f" ({fault.log_id})" if fault.log_id else "")
    return f"chain {fault.chain}, {row}: {fault.what}"
