"""Settings: frozen blocks, read once from the environment (prefix `NIJA_`, nested with `__`), `.env` and `_FILE` twins.

A wrong value or an unknown name stops the start with the name and the reason. Values of secrets are never shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from nija_common.errors import SettingsError

PREFIX = "NIJA_"
_LET_THROUGH = re.compile(r"^NIJA_(BASE_URL$|TEST_)|_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT$|_PORT_\d+_")


class Block(BaseModel):
    """Base of every settings block. A field `smtp_url` is the variable `NIJA_SMTP_URL`; a block inside nests with `__`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KafkaSettings(Block):
    """How a process proves itself to Kafka's brokers. Without SASL it names nobody."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="What the brokers' listener speaks."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="With SASL: how name and password are shown."
    )
    username: str | None = Field(None, description="With SASL: the name.")
    password: SecretStr | None = Field(None, description="With SASL: the password.")
    ca: str | None = Field(
        None, description="With SSL: certificates in PEM that sign the brokers' own; empty or absent: the system's."
    )

    @property
    def sasl(self) -> bool:
        """Whether name and password are shown."""
        return self.security_protocol.startswith("SASL_")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.sasl and not (self.username and self.password):
            raise ValueError(f"SECURITY_PROTOCOL {self.security_protocol} needs USERNAME and PASSWORD")
        if not self.sasl and (self.username or self.password):
            raise ValueError(f"USERNAME and PASSWORD are for SASL, SECURITY_PROTOCOL is {self.security_protocol}")
        if self.ca and not self.security_protocol.endswith("SSL"):
            raise ValueError(f"CA is for SSL, SECURITY_PROTOCOL is {self.security_protocol}")
        return self


class PlatformSettings(Block):
    """What every process needs: where it keeps data, and how it reaches store, bus and its neighbours."""

    data_dir: Path = Field(Path(".nija"), description="Folder of the embedded platform: database, mail, exports, keys.")
    store: Literal["sqlite", "mongodb"] = Field("sqlite", description="Where documents are kept.")
    mongo_url: SecretStr | None = Field(None, description="MongoDB replica set, e.g. mongodb://host/?replicaSet=rs0.")
    bus: Literal["sqlite", "kafka"] = Field("sqlite", description="What carries events.")
    kafka_bootstrap: str | None = Field(None, description="Kafka brokers, host:port, comma-separated.")
    kafka: KafkaSettings = KafkaSettings()
    namespace: str = Field(
        "", pattern=r"^[a-z0-9-]*$", description="Prefix of topics, groups and databases, for several platforms on one."
    )
    public_url: str = Field("http://127.0.0.1:8000", description="How clients reach the gateway; used in links.")
    key_encryption_key: SecretStr | None = Field(
        None, description="32 bytes, base64: seals secrets. `nija up` makes one in the data folder."
    )
    key_encryption_keys_old: SecretStr | None = Field(
        None,
        description="More such keys, comma-separated, that open what they sealed but seal nothing: for a change of keys.",
    )
    jwks_url: str | None = Field(None, description="Where a service fetches auth's public keys.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    otlp_endpoint: str | None = Field(None, description="OpenTelemetry collector (OTLP over HTTP) for traces.")
    trace_ratio: float = Field(
        0.1,
        ge=0.0,
        le=1.0,
        description="Part of the traces that begin here which is recorded and sent; one begun elsewhere goes by its own.",
    )
    metrics_port: int = Field(
        0,
        ge=-1,
        le=65535,
        description="Port of /metrics under `nija serve`: 0 takes a free one, -1 serves it beside the API.",
    )
    drain_notice_s: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Seconds between readiness off and no new connections when a process is told to stop.",
    )
    smtp_url: SecretStr | None = Field(None, description="SMTP server for mail, smtp://user:password@host:port.")
    mail_dir: Path | None = Field(None, description="Folder for mail where there is no SMTP; default DATA_DIR/mail.")
    market: Literal["live", "replay"] = Field("live", description="Where candles come from.")
    candles: Path | None = Field(None, description="Folder of candle files for replay; default: the bundled ones.")
    speed: float = Field(1.0, gt=0, description="Replay: times real time.")


B = TypeVar("B", bound=Block)


def names_of(block: type[BaseModel], prefix: str = PREFIX) -> dict[str, tuple[type[BaseModel], str]]:
    """Every environment variable a block reads, with the class and field it fills."""
    out: dict[str, tuple[type[BaseModel], str]] = {}
    for name, field in block.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            out.update(names_of(inner, f"{prefix}{name.upper()}__"))
        else:
            out[f"{prefix}{name.upper()}"] = (block, name)
    return out


def environment(env: Mapping[str, str], dotenv: Path | None = Path(".env")) -> dict[str, str]:
    """The `NIJA_` variables of the process, over those of a `.env` file."""
    merged: dict[str, str] = {}
    if dotenv is not None and dotenv.is_file():
        merged.update({k: v for k, v in dotenv_values(dotenv).items() if v is not None})
    merged.update(env)
    return {k: v for k, v in merged.items() if k.startswith(PREFIX)}


def refuse_unknown(env: Mapping[str, str], blocks: Iterable[type[Block]]) -> None:
    """Raises SettingsError naming a variable that no block knows (`_FILE` twins count as known)."""
    known = {name for block in blocks for name in names_of(block)}
    for name in sorted(env):
        if name in known or name.removesuffix("_FILE") in known or _LET_THROUGH.search(name):
            continue
        raise SettingsError(f"{name}: no such setting")


def load(block: type[B], env: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> B:
    """Builds a block from variables; `overrides` (field -> value, None left out) come from command-line options.

    Raises SettingsError with the variable's name and the reason.
    """
    tree: dict[str, Any] = {}
    for name in names_of(block):
        value = _value(name, env)
        if value is None:
            continue
        node = tree
        *path, leaf = name.removeprefix(PREFIX).lower().split("__")
        for part in path:
            node = node.setdefault(part, {})
        node[leaf] = value
    tree.update({k: v for k, v in (overrides or {}).items() if v is not None})
    try:
        return block.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = PREFIX + "__".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{where}: {first['msg']}") from None


def _value(name: str, env: Mapping[str, str]) -> str | None:
    direct, file = env.get(name), env.get(f"{name}_FILE")
    if direct is not None and file is not None:
        raise SettingsError(f"{name}: set, and {name}_FILE as well; keep one of them")
    if file is None:
        return direct
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingsError(f"{name}_FILE: {error.strerror}: {file}") from None
