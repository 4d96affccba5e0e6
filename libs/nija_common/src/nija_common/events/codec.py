"""How an event travels: a CloudEvents 1.0 envelope as JSON, with type, version and trace repeated as headers.

Producers validate strictly, consumers ignore unknown fields. A type nobody knows is `None`, not an error;
bytes that are no envelope raise `Undecodable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from nija_common.events.base import Emission, Event, Received
from nija_common.values.times import iso

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns the payload of one version into that of the next."""


class Undecodable(Exception):
    """The record is no event of ours, or its payload does not fit its class."""


def encode(emission: Emission, *, seq: int | None, incarnation: int) -> tuple[bytes, dict[str, str]]:
    """Value and headers of the record of one emission."""
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": emission.id,
        "type": emission.type,
        "source": emission.source,
        "time": iso(emission.time_ms),
        "time_ms": emission.time_ms,
        "subject": emission.key,
        "version": emission.version,
        "seq": seq,
        "revision": [incarnation, seq or 0],
        "correlation_id": emission.correlation_id,
        "causation_id": emission.causation_id,
        "traceparent": emission.traceparent,
        "data": emission.data,
    }
    headers = {"type": emission.type, "version": str(emission.version)}
    if emission.traceparent:
        headers["traceparent"] = emission.traceparent
    return orjson.dumps(envelope), headers


class Codec:
    """Reads records into events, by the event classes it knows and the upcasters of older versions."""

    def __init__(
        self,
        classes: Iterable[type[Event]],
        upcasters: Mapping[tuple[str, int], Upcaster] | None = None,
    ) -> None:
        self._classes = {cls.type: cls for cls in classes}
        self._upcasters = dict(upcasters or {})

    def decode(self, value: bytes, *, key: str, partition: int, offset: int) -> Received[Event] | None:
        """The event in a record; None for a type that is not known here.

        Raises `Undecodable` for bytes that are no envelope, a version newer than ours, or a payload that
        does not fit.
        """
        return self.event(self.envelope(value), key=key, partition=partition, offset=offset)

    def event(self, envelope: Mapping[str, Any], *, key: str, partition: int, offset: int) -> Received[Event] | None:
        """As `decode`, from an envelope that has been parsed already."""
        cls = self._classes.get(str(envelope.get("type")))
        if cls is None:
            return None
        try:
            data = self._upcast(cls, int(envelope["version"]), envelope["data"])
            revision = envelope.get("revision") or [0, 0]
            # By position: names cost as much again, and every event comes through here.
            return Received(
                _lenient(cls, data),
                str(envelope["id"]),
                str(envelope["source"]),
                int(envelope["time_ms"]),
                key,
                partition,
                offset,
                envelope.get("seq"),
                (int(revision[0]), int(revision[1])),
                str(envelope["correlation_id"]),
                envelope.get("causation_id"),
                envelope.get("traceparent"),
            )
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise Undecodable(f"{cls.type}: {type(error).__name__}") from error

    @staticmethod
    def envelope(value: bytes) -> dict[str, Any]:
        """The envelope alone, payload unread. Raises `Undecodable`."""
        try:
            envelope = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise Undecodable("not JSON") from error
        if not isinstance(envelope, dict) or "type" not in envelope or "data" not in envelope:
            raise Undecodable("not an event envelope")
        return envelope

    def _upcast(self, cls: type[Event], version: int, data: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise TypeError("the payload is no object")
        if version > cls.schema_version:
            raise ValueError(f"version {version} is newer than {cls.schema_version}")
        while version < cls.schema_version:
            data = self._upcasters[(cls.type, version)](data)
            version += 1
        return data


def _lenient(cls: type[Event], data: dict[str, Any]) -> Event:
    """Validates a payload while ignoring fields of a newer minor version, at every depth."""
    try:
        event: Event = cls.__pydantic_validator__.validate_python(data)  # what `model_validate` calls, after 1.5 us
        return event
    except ValidationError:
        return cls.model_validate(_known_only(cls, data))


def _known_only(cls: type[BaseModel], data: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, field in cls.model_fields.items():
        if name not in data:
            continue
        value = data[name]
        inner = field.annotation
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, BaseModel):
            value = _known_only(inner, value)
        out[name] = value
    return out
