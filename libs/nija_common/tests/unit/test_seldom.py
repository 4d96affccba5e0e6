"""A library that repeats itself is heard once in a while, everybody else always."""

from __future__ import annotations

import logging

from nija_common.telemetry.logging import Seldom


def record(name: str, message: str, at: float) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.ERROR, "", 0, message, ("anything",), None)
    made.created = at
    return made


def test_each_message_of_the_library_passes_once_in_its_time() -> None:
    seldom = Seldom("chatty", 10.0)
    heard = [at for at in range(0, 25) if seldom.filter(record("chatty.client", "cannot connect to %s", float(at)))]
    assert heard == [0, 10, 20]
    assert seldom.filter(record("chatty.client", "something else %s", 1.0))
    assert seldom.filter(record("chatty.producer", "cannot connect to %s", 1.0))


def test_other_loggers_are_always_heard() -> None:
    seldom = Seldom("chatty", 10.0)
    assert all(seldom.filter(record("nija_common.bus", "bus_unavailable %s", 0.0)) for _ in range(3))
