"""Settings come from variables and files; what is wrong or unknown is named, secrets never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from nija_common.errors import SettingsError
from nija_common.runtime.settings import Block, PlatformSettings, environment, load, refuse_unknown


class Inner(Block):
    per_hour: int = Field(5, ge=1)


class Outer(Block):
    limits: Inner = Inner()
    api_key: SecretStr | None = None


def test_nested_names_use_two_underscores() -> None:
    assert load(Outer, {"NIJA_LIMITS__PER_HOUR": "7"}).limits.per_hour == 7


def test_a_file_twin_is_read_without_its_line_end(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("s3cret\n")
    key = load(Outer, {"NIJA_API_KEY_FILE": str(secret)}).api_key
    assert key is not None
    assert key.get_secret_value() == "s3cret"


def test_a_variable_and_its_file_twin_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"NIJA_API_KEY"):
        load(Outer, {"NIJA_API_KEY": "a", "NIJA_API_KEY_FILE": str(tmp_path / "x")})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"NIJA_API_KEY_FILE.*absent"):
        load(Outer, {"NIJA_API_KEY_FILE": str(tmp_path / "absent")})


@pytest.mark.parametrize("value", ["0", "many", ""])
def test_a_wrong_value_is_named_and_not_repeated(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^NIJA_LIMITS__PER_HOUR: "):
        load(Outer, {"NIJA_LIMITS__PER_HOUR": value})


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        load(PlatformSettings, {"NIJA_STORE": "sup3rsecret"})
    assert "sup3rsecret" not in str(caught.value)
    assert "NIJA_STORE" in str(caught.value)


def test_an_unknown_name_is_refused_and_what_others_inject_is_let_through() -> None:
    blocks: list[type[Block]] = [PlatformSettings, Outer]
    refuse_unknown(
        {
            "NIJA_STORE": "sqlite",
            "NIJA_API_KEY_FILE": "x",
            "NIJA_BASE_URL": "http://x",
            "NIJA_TEST_KAFKA": "x",
            "NIJA_GATEWAY_SERVICE_HOST": "10.0.0.1",
            "NIJA_GATEWAY_PORT_8000_TCP_ADDR": "10.0.0.1",
            "NIJA_GATEWAY_SERVICE_PORT_HTTP": "80",
        },
        blocks,
    )
    with pytest.raises(SettingsError, match=r"NIJA_STOR: no such setting"):
        refuse_unknown({"NIJA_STOR": "sqlite"}, blocks)


def test_variables_win_over_the_env_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("NIJA_STORE=mongodb\nNIJA_BUS=kafka\nOTHER=1\n")
    assert environment({"NIJA_STORE": "sqlite", "PATH": "/bin"}, dotenv) == {
        "NIJA_STORE": "sqlite",
        "NIJA_BUS": "kafka",
    }
