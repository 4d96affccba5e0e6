"""Logs: one JSON object a line on standard error, with request and trace ids, secrets redacted by name."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog
from opentelemetry import trace

from nija_common.telemetry.context import known_context

_SECRET = re.compile(
    r"(password|passwd|secret|token|api_?key|authorization|cookie|credential|private|sealed|signature)", re.IGNORECASE
)
_BEARER = re.compile(r"(?i)bearer\s+[A-Za-z0-9._~+/=-]+|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
REDACTED = "[redacted]"

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def redact(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Blanks values whose name sounds like a secret, at any depth, and tokens inside text."""
    return {name: _clean(name, value) for name, value in event.items()}


def _clean(name: str, value: Any) -> Any:
    if _SECRET.search(name) and value not in (None, True, False):
        return REDACTED
    if isinstance(value, dict):
        return {key: _clean(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(name, inner) for inner in value]
    if isinstance(value, str):
        return _BEARER.sub(REDACTED, value)
    return value


def redacted(text: str) -> str:
    """The text without the tokens in it."""
    return _BEARER.sub(REDACTED, text)


def _with_story(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Ids of the request, the event, the user and the trace that the line belongs to, where there are any."""
    story = known_context()
    for name, value in (
        ("request_id", story.correlation_id),
        ("event_id", story.causation_id),
        ("user_id", story.user_id),
    ):
        if value is not None:
            event.setdefault(name, value)
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = f"{span.trace_id:032x}"
    elif story.traceparent is not None:
        event["trace_id"] = story.traceparent.split("-")[1]
    return event


class Seldom(logging.Filter):
    """Lets each message of a chatty library through once in a while: aiokafka tells of every single try to reconnect."""

    def __init__(self, library: str, every_s: float) -> None:
        super().__init__()
        self._library = library
        self._every_s = every_s
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(self._library):
            return True
        message = (record.name, str(record.msg))
        if record.created - self._last.get(message, -self._every_s) < self._every_s:
            return False
        self._last[message] = record.created
        return True


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _with_story,
    structlog.processors.format_exc_info,
    redact,
]
# One list for the life of the process: a logger keeps the list of its first line, and has to see what is put into it
# later (a second call of `configure_logging`, `structlog.testing.capture_logs`).
_PROCESSORS: list[Any] = [
    structlog.stdlib.filter_by_level,
    *_SHARED,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]


def configure_logging(level: str) -> None:
    """Sets up structlog and routes the standard library's loggers through the same lines. May be called again."""
    structlog.configure(
        processors=_PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Seldom("aiokafka", 10.0))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "aiokafka", "kafka", "pymongo", "websockets"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(max(_LEVELS[level], logging.WARNING))
