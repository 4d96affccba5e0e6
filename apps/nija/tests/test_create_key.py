"""`nija admin create-key`: the key of a platform, made once."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from nija_cli.endings import Failed
from nija_cli.maintenance import create_key
from nija_common.runtime.key_encryption import KeyFile
from nija_common.runtime.settings import PlatformSettings, environment, load


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "key"
    create_key(path)
    (key,) = KeyFile(path)()
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    create_key(path)
    assert list(KeyFile(path)()) == [key]
    assert capsys.readouterr().out == f"{path}: made\n{path}: is there already\n"


def test_the_settings_take_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "key"
    create_key(path)
    settings = load(PlatformSettings, environment({"NIJA_KEY_ENCRYPTION_KEY_FILE": str(path)}, None))
    assert settings.key_encryption_key is not None
    assert settings.key_encryption_key.get_secret_value() == path.read_text().strip()


def test_a_file_that_holds_no_key_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("")
    with pytest.raises(Failed, match="has no key"):
        create_key(path)
    assert path.read_text() == ""
