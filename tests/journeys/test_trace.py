"""One story, one trace: from the alert at the gateway to the writing on a socket, through every process and the bus, and
the log lines of all of them carry its id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nija_common.testing.client import ApiClient
from nija_common.testing.long_run import only_long
from nija_common.testing.platforms import Distributed, Embedded, wait_for
from nija_common.testing.traces import PROMPTLY, Receiver, Span, receiving

WEBHOOK = "POST /api/v1/webhooks/tradingview"
REQUEST_ID = "an-alert-of-mine"
GROUPS = {"accounts.consumer", "analytics.consumer", "billing.consumer", "notifier.consumer", "notifier.api"}
"""Who hears of the trade; `notifier.api` is each process with sockets."""

DISTRIBUTED = [
    pytest.mark.kafka,
    pytest.mark.mongo,
    only_long("nine processes"),
]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as listening:
        yield listening


@pytest.fixture(params=["embedded", pytest.param("distributed", marks=DISTRIBUTED)])
def watched(request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver) -> Iterator[Embedded | Distributed]:
    """A platform that records every trace and says all it can say."""
    env = {"NIJA_OTLP_ENDPOINT": receiver.endpoint, "NIJA_TRACE_RATIO": "1", "NIJA_LOG_LEVEL": "debug", **PROMPTLY}
    if request.param == "embedded":
        with Embedded(tmp_path, options=["--market", "replay", "--speed", "300"], env=env) as embedded:
            yield embedded
        return
    kafka, mongo = request.getfixturevalue("kafka_bootstrap"), request.getfixturevalue("mongo_url")
    names = request.getfixturevalue("namespace")
    with Distributed(tmp_path, kafka=kafka, mongo=mongo, namespace=names, env=env | {"NIJA_SPEED": "300"}) as separate:
        yield separate


def story(receiver: Receiver) -> list[Span]:
    """The spans of the alert's trace, once all that follows from it has been told; until then none."""
    spans = receiver.spans()
    first = [span for span in spans if span.attributes.get("nija.request_id") == REQUEST_ID and not span.parent_id]
    if not first:
        return []
    found = [span for span in spans if span.trace_id == first[0].trace_id]
    heard = {span.attributes["messaging.consumer.group.name"] for span in found if span.name == "process nija-trading"}
    return found if heard >= GROUPS and any(span.name == "send /ws/v1" for span in found) else []


def lines(platform: Embedded | Distributed, trace_id: str) -> list[dict[str, Any]]:
    """What all processes have logged in that trace."""
    processes = [platform.process] if isinstance(platform, Embedded) else list(platform.processes.values())
    texts = [line for process in processes for line in process.log.read_text("utf-8").splitlines()]
    parsed = [json.loads(line) for line in texts if line.startswith("{")]
    return [line for line in parsed if line.get("trace_id") == trace_id]


def assert_one_tree(spans: list[Span]) -> None:
    """One span begins the trace, and every other one has its parent in it."""
    ids = {span.span_id for span in spans}
    (first,) = [span for span in spans if not span.parent_id]
    assert (first.name, first.kind) == (WEBHOOK, "server")
    assert [span for span in spans if span.parent_id and span.parent_id not in ids] == []


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_an_alert_and_all_that_follows_from_it_is_one_trace(
    watched: Embedded | Distributed, receiver: Receiver
) -> None:
    with ApiClient(watched.url).register() as user:
        hook = user.ok("POST", "/config/webhook-key", {})["webhook_key"]
        user.ok("PUT", "/config/settings", {"trading": {"allowed_pairs": ["BTC-USD"]}})
        user.ok("POST", "/trading/start", {"broker": "coinbase", "paper_trading": True, "strategy": "SIGNALS_ONLY"})
        wait_for("the bot runs", lambda: user.ok("GET", "/trading/status")["status"] == "running", every=0.3)
        with user.socket("trades") as socket:
            alert = {"symbol": "BTC-USD", "action": "buy", "api_key": hook}
            url = f"{watched.url}/api/v1/webhooks/tradingview"
            answer = httpx.post(url, json=alert, headers={"X-Request-ID": REQUEST_ID}, timeout=30)
            assert answer.status_code < 300, answer.text
            assert socket.until("trade_executed")["data"]["action"] == "opened"
        spans = wait_for("the whole story is told", lambda: story(receiver))

    assert_one_tree(spans)
    assert [span.kind for span in spans if span.name == WEBHOOK] == ["server", "server"], "gateway and trading-engine"
    assert any(span.name == "command open" for span in spans)
    if isinstance(watched, Distributed):
        expected = {"gateway", "trading-engine", "trading-worker", "accounts", "analytics", "billing", "notifier"}
        assert {span.service.removeprefix("nija-") for span in spans} >= expected

    said = lines(watched, spans[0].trace_id)
    assert {line["request_id"] for line in said} == {REQUEST_ID}
    assert {line["service"] for line in said if line["event"] == "request"} == {"gateway", "trading-engine"}
    (obeyed,) = [line for line in said if line["event"] == "command_obeyed"]
    (told,) = [line for line in said if line["event"] == "told"]
    assert obeyed["user_id"] == told["user_id"] == user.user_id
    handled = [line for line in said if line["event"] == "event_handled" and line["topic"] == "nija-trading"]
    assert {line["group"] for line in handled} == GROUPS - {"notifier.api"}
    assert {line["user_id"] for line in handled} == {user.user_id}
    assert hook not in json.dumps(said)
