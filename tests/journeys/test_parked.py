"""An operator finds a parked key, sees why, and replays it; while its cause is there it stays parked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nija_common.bus.port import Message
from nija_common.events.topics import USERS
from nija_common.runtime.infrastructure import open_infrastructure
from nija_common.runtime.settings import PlatformSettings
from nija_common.testing.client import ApiClient
from nija_common.testing.platforms import Embedded, run_nija, wait_for
from nija_common.values.clock import SystemClock
from nija_common.values.shards import shard_of

KEY = "usr_poisoned"


async def poison(data_dir: Path) -> None:
    """A record that no consumer can read, written beside the running platform."""
    settings = PlatformSettings(data_dir=data_dir)
    async with open_infrastructure(settings, SystemClock(), second=True) as infrastructure:
        await infrastructure.bus.send([Message(USERS.name, shard_of(KEY), KEY, b"not an event")])


@pytest.mark.slow
def test_a_poisoned_key_is_listed_shown_and_kept_while_its_cause_is_there(tmp_path: Path) -> None:
    with Embedded(tmp_path, options=["--market", "replay"]) as platform:
        folder = ["--data-dir", str(platform.data_dir)]
        asyncio.run(poison(platform.data_dir))

        def listed() -> str:
            done = run_nija(["parked", "list", *folder], env=platform.env)
            assert done.returncode == 0, done.stderr
            return done.stdout if KEY in done.stdout and "billing" in done.stdout else ""

        # Each service parks it when it comes to it.
        table = wait_for("the key is parked by billing", listed)
        assert "not JSON" in table
        shown = run_nija(["parked", "show", "billing", KEY, *folder], env=platform.env)
        assert shown.returncode == 0, shown.stderr
        assert "not an event" not in shown.stdout
        kept = run_nija(["parked", "replay", "billing", KEY, *folder], env=platform.env)
        assert kept.returncode == 1
        assert "stays parked" in kept.stderr
        assert "Traceback" not in kept.stderr
        assert run_nija(["parked", "replay", "billing", "usr_nobody", *folder], env=platform.env).returncode == 1
        assert run_nija(["parked", "replay", "billing", *folder], env=platform.env).returncode == 2
        passed = run_nija(["parked", "replay", "billing", KEY, "--skip", "0", *folder], env=platform.env)
        assert passed.returncode == 0, passed.stderr
        assert f"nija-users {KEY}: 1 events handled, the key is released" in passed.stdout
        none = run_nija(["parked", "replay", "billing", "--all", *folder], env=platform.env)
        assert (none.returncode, none.stdout) == (0, "no key of billing is parked\n")
        with ApiClient(platform.url).register() as user:
            assert user.get("/subscription/current").status == 200
