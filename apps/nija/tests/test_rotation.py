"""`nija admin rotate-keys` beside a running platform."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from nija_auth.service import SERVICE as AUTH
from nija_auth.store import KEYRING
from nija_cli.rotation import rotate_keys
from nija_common.errors import SettingsError
from nija_common.runtime.key_encryption import KEY_FILE, KeyFile
from nija_common.security.sealing import Sealer
from nija_common.testing import start_platform
from nija_common.values.clock import SystemClock
from nija_trading.domain.connections import BrokerConnection
from nija_trading.service import SERVICE as TRADING


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the machine's nor a `.env` beside the checkout."""
    monkeypatch.chdir(tmp_path)
    for name in ("NIJA_KEY_ENCRYPTION_KEY", "NIJA_KEY_ENCRYPTION_KEYS_OLD", "NIJA_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


async def test_a_running_platform_goes_on_under_a_new_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    async with start_platform(folder, [AUTH, TRADING], clock=SystemClock()) as platform:
        sealer, trading = platform.node.sealer, platform.node.running["trading-engine"]
        old = sealer.key_id
        connection = BrokerConnection(
            id="brk_a", user_id="usr_a", broker="kraken", sealed="", masked="", created_at_ms=1
        )
        sealed = sealer.seal(b"{}", bound_to=connection.place)
        uow = trading.work.open()
        uow.save(connection.model_copy(update={"sealed": sealed}))
        await trading.work.commit(uow)

        await rotate_keys(folder)
        assert sealer.key_id != old
        assert f"put under the key {sealer.key_id}: 2; none" in capsys.readouterr().out
        keyring = await platform.deps("auth").people.keyring()
        assert keyring.id == KEYRING
        kept = await trading.storage.get(BrokerConnection, "brk_a")
        assert kept is not None
        assert kept.sealed.split(".")[3] == sealed.split(".")[3]
        for text in (kept.sealed, *(key.sealed for key in keyring.keys)):
            assert text.split(".")[1] == sealer.key_id
        assert sealer.open(kept.sealed, bound_to=connection.place) == b"{}"


async def test_a_rotation_that_was_broken_off_is_ended_and_makes_no_third_key(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with start_platform(folder, [AUTH], clock=SystemClock()):
        pass
    file = KeyFile(folder / KEY_FILE)
    file.add()
    await rotate_keys(folder)
    assert len(file()) == 2
    await rotate_keys(folder)
    assert len(file()) == 3


async def test_keys_of_the_settings_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    old, new = (base64.b64encode(letter * 32).decode() for letter in (b"o", b"n"))
    env = {"NIJA_KEY_ENCRYPTION_KEY": old}
    async with start_platform(folder, [AUTH], clock=SystemClock(), env=env):
        pass
    monkeypatch.setenv("NIJA_KEY_ENCRYPTION_KEY", new)
    with pytest.raises(SettingsError, match="not the key that auth's signing keys were sealed with"):
        await rotate_keys(folder)
    monkeypatch.setenv("NIJA_KEY_ENCRYPTION_KEYS_OLD", old)
    await rotate_keys(folder)
    assert ": 1; none is left" in capsys.readouterr().out
    monkeypatch.delenv("NIJA_KEY_ENCRYPTION_KEYS_OLD")
    await rotate_keys(folder)
    assert ": 0; none is left" in capsys.readouterr().out
    assert not (folder / KEY_FILE).exists()


async def test_a_secret_whose_key_is_gone_stops_the_rotation_with_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with start_platform(folder, [TRADING], clock=SystemClock()) as platform:
        row = BrokerConnection(id="brk_a", user_id="usr_a", broker="kraken", sealed="", masked="", created_at_ms=1)
        trading = platform.node.running["trading-engine"]
        uow = trading.work.open()
        uow.save(row.model_copy(update={"sealed": Sealer(b"x" * 32).seal(b"{}", bound_to=row.place)}))
        await trading.work.commit(uow)
    with pytest.raises(SettingsError, match="a secret of trading-engine is under a key that is not known here"):
        await rotate_keys(folder)
