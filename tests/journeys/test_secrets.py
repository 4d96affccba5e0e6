"""Planted secrets are found nowhere in the clear: no store, no topic, no log, no trace, no mail, no answer (promise 28).

A user lives through everything that takes a secret: a password, a session, a webhook key, broker keys, a reset. Then
all that is left of it is searched. What is meant to be told once is not counted where it was told: the tokens and the
webhook key in their own answer, the reset's token in the mail of its owner.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from pymongo import MongoClient

from nija_common.testing.exchange import RunningExchange
from nija_common.testing.exchange import kraken_private as kraken
from nija_common.testing.long_run import only_long
from nija_common.testing.platforms import Distributed, Embedded, wait_for
from nija_common.testing.traces import Receiver, receiving

PASSWORD = "Canary-Meadow-Station-4711"
TRIES = 3
NEW_PASSWORD = "Canary-Harbour-Lantern-0815"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as listening:
        yield listening


SEPARATE = (
    pytest.mark.kafka,
    pytest.mark.mongo,
    only_long("nine processes; so does .ci/run"),
)


@pytest.fixture(params=["embedded", pytest.param("distributed", marks=SEPARATE)])
def traced(
    request: pytest.FixtureRequest, tmp_path: Path, fake_exchange: RunningExchange, receiver: Receiver
) -> Iterator[Embedded | Distributed]:
    """A platform of either kind whose Kraken is the fake exchange, and whose logs and traces say all they can say."""
    env = {"NIJA_BROKERS__KRAKEN__BASE_URL": fake_exchange.base_url, "NIJA_LOG_LEVEL": "debug"}
    env |= {"NIJA_OTLP_ENDPOINT": receiver.endpoint, "NIJA_TRACE_RATIO": "1"}
    if request.param == "embedded":
        mail = {"NIJA_MAIL_DIR": str(tmp_path / "mail")}
        with Embedded(tmp_path, options=["--market", "replay", "--speed", "300"], env=env | mail) as embedded:
            yield embedded
        return
    kafka, mongo = request.getfixturevalue("kafka_bootstrap"), request.getfixturevalue("mongo_url")
    names = request.getfixturevalue("namespace")
    with Distributed(tmp_path, kafka=kafka, mongo=mongo, namespace=names, env=env | {"NIJA_SPEED": "300"}) as separate:
        yield separate


class Witness:
    """Calls the API and keeps every answer; `planted` is what must not be found, by name."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/api/v1", timeout=30.0)
        self.planted: dict[str, str] = {}
        self.answers: list[bytes] = []
        self.token = ""

    def ask(self, method: str, path: str, body: Any = None, *, tells: tuple[str, ...] = ()) -> Any:
        """One call that must succeed; `tells` names what its answer gives away on purpose, which is planted from there."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = self._http.request(method, path, json=body, headers=headers)
        for _ in range(TRIES):
            if answer.status_code != 503:
                break
            # A busy machine's worker did not try the key in time; the platform says so, and a client asks again.
            answer = self._http.request(method, path, json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        data = answer.json()["data"]
        for name in tells:
            self.planted[f"{path} {name}"] = data[name]
        if not tells:
            self.answers.append(answer.content)
        return data


def reset_token(folder: Path) -> str:
    """The token in the link of the mailed reset."""
    for mail in folder.rglob("*"):
        found = re.search(r"reset-password\?token=3?D?([\w.%-]+)", _text(mail)) if mail.is_file() else None
        if found is not None:
            return found.group(1)
    return ""


def _text(mail: Path) -> str:
    return mail.read_bytes().replace(b"=\r\n", b"").replace(b"=\n", b"").decode(errors="replace")


def stores_and_topics(platform: Embedded | Distributed) -> Iterator[tuple[str, bytes]]:
    """Every byte that the platform keeps, by where it lies."""
    if isinstance(platform, Embedded):
        for file in platform.data_dir.rglob("*"):
            if file.is_file() and not file.name.startswith("key-encryption"):
                yield str(file.name), file.read_bytes()
        return
    names = platform.env["NIJA_NAMESPACE"]
    with MongoClient[dict[str, Any]](platform.env["NIJA_MONGO_URL"]) as client:
        for database in client.list_database_names():
            if database.startswith(names.replace("-", "_")) or database.startswith(names):
                for collection in client[database].list_collection_names():
                    yield f"{database}.{collection}", repr(list(client[database][collection].find())).encode()
    yield "the topics", asyncio.run(_records(platform.env["NIJA_KAFKA_BOOTSTRAP"], names))


async def _records(bootstrap: str, names: str) -> bytes:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        topics = [topic for topic in await consumer.topics() if topic.startswith(names)]
        consumer.subscribe(topics)
        found = b""
        while batch := await consumer.getmany(timeout_ms=3000):
            for records in batch.values():
                found += b"".join(
                    (record.value or b"") + repr((record.key, record.headers)).encode() for record in records
                )
        return found
    finally:
        await consumer.stop()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_planted_secrets_are_found_nowhere_in_the_clear(
    traced: Embedded | Distributed, tmp_path: Path, fake_exchange: RunningExchange, receiver: Receiver
) -> None:
    witness, mails = Witness(traced.url), tmp_path / "mail"
    witness.planted |= {"password": PASSWORD, "new password": NEW_PASSWORD}
    body = {"email": "canary@nija.example", "password": PASSWORD, "full_name": "Ada", "accept_terms": True}
    witness.ask("POST", "/auth/register", body)
    login = {"email": "canary@nija.example", "password": PASSWORD}
    told = ("access_token", "refresh_token")
    session = witness.ask("POST", "/auth/login", login, tells=told)
    witness.token = session["access_token"]
    witness.ask("POST", "/auth/refresh", {"refresh_token": session["refresh_token"]}, tells=("access_token",))
    hook = witness.ask("POST", "/config/webhook-key", {}, tells=("webhook_key",))["webhook_key"]
    witness.ask("GET", "/config/webhook-key")

    key, secret = kraken.new_kraken_key(balances={"USD": "5"})
    fake_exchange.exchange.add_key(key)
    witness.planted |= {"broker key": key.name, "broker secret": secret}
    asked = {"broker": "kraken", "api_key": key.name, "api_secret": secret}
    broker = witness.ask("POST", "/config/brokers", asked)["broker_id"]
    witness.ask("POST", f"/config/brokers/{broker}/test", {})
    witness.ask("GET", "/config/brokers")

    witness.ask("PUT", "/config/settings", {"trading": {"allowed_pairs": ["BTC-USD"]}})
    witness.ask("POST", "/trading/start", {"broker": "coinbase", "paper_trading": True, "strategy": "SIGNALS_ONLY"})
    wait_for("the bot runs", lambda: witness.ask("GET", "/trading/status")["status"] == "running", every=0.3)
    alert = {"symbol": "BTC-USD", "action": "buy", "api_key": hook}
    witness.ask("POST", "/webhooks/tradingview", alert)
    wait_for("a trade", lambda: witness.ask("GET", "/account/history?status=open")["trades"], every=0.3)
    for path in ("/account/positions", "/account/stats", "/analytics/dashboard", "/subscription/usage"):
        witness.ask("GET", path)

    witness.ask("POST", "/auth/reset-password", {"email": "canary@nija.example"})
    token = wait_for("the reset is mailed", lambda: reset_token(mails))
    witness.ask("POST", "/auth/reset-password/confirm", {"token": token, "new_password": NEW_PASSWORD})
    witness.planted["reset token"] = token

    processes = [traced.process] if isinstance(traced, Embedded) else list(traced.processes.values())
    for process in processes:
        process.stop()
    searched = list(stores_and_topics(traced))
    assert any(b"canary@nija.example" in content for _, content in searched), "nothing was searched"
    assert any(b"user.snapshot" in content for _, content in searched), "no topic was searched"
    searched += [(f"the log of {process.name}", process.log.read_bytes()) for process in processes]
    assert any(span.name == "POST /api/v1/auth/login" for span in receiver.spans()), "no trace was searched"
    searched += [("the traces", receiver.bodies())]
    searched += [("what processes say", "".join(process.said for process in processes).encode())]
    searched += [("an answer", answer) for answer in witness.answers]
    for mail in mails.rglob("*"):
        if mail.is_file():
            owners = _text(mail).replace(token, "") if "reset-password?token=" in _text(mail) else _text(mail)
            searched.append((f"the mail {mail.name}", owners.encode()))
    found = [
        (name, where)
        for name, text in witness.planted.items()
        for where, content in searched
        if text.encode() in content
    ]
    assert not found
