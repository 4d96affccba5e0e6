"""From an alert to the socket: the webhook's answer, the paper trade's message, and its position's, on the whole platform.

    python benchmarks/bench_journey.py [--users 60] [--rate 20] [--seconds 20] [--kinds embedded,distributed] [--json PATH]

`embedded` is `nija up` on a folder of its own. `distributed` is every service in a process of its own behind the gateway:
Kafka, trading on MongoDB's wire, every other service on a file of its own (Java and Maven; else it is left out, and the
output says so). Each user runs a bot that obeys alerts only, on paper, and has a WebSocket that follows `trades` and
`positions`. Alerts come through the gateway at a steady rate, in turn for all users, whether or not those before have
come through: a `buy`, then a `close`, and so on. Times count from the moment an alert was due.

Prints p50 and p99 in milliseconds, and the processor time of all processes of the platform for an alert (Linux, `/proc`;
brokers and stores of the distributed one not counted). Goals: answered within 50 ms (p99), and the trade's message in the
client's hand within 150 ms of the answer (p99). A goal that is missed is named, and the status is 1 with `--strict`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect

from nija_common.testing import figures, kafka, mongo
from nija_common.testing.client import ApiClient
from nija_common.testing.platforms import Distributed, Embedded, wait_for
from nija_common.testing.processes import Unavailable, processor_seconds, started

GOALS_MS = {"answered": 50.0, "told": 150.0}
WEBHOOK = "/api/v1/webhooks/tradingview"
SETTLED_S = 10.0
ROOMY = {"NIJA_TRADING_ALERTS_PER_MINUTE": "100000", "NIJA_LOG_LEVEL": "warning"}


@dataclass(slots=True)
class Sent:
    """One alert: moments in seconds of `perf_counter`."""

    action: str
    due: float
    answered: float | None = None
    trade: float | None = None
    position: float | None = None
    denied: bool = False


@dataclass(slots=True)
class Trader:
    """A user with a bot on paper, a webhook key, and a socket."""

    client: ApiClient
    key: str
    sent: list[Sent] = field(default_factory=list)

    def next_alert(self, due: float) -> Sent:
        self.sent.append(Sent("close" if len(self.sent) % 2 else "buy", due))
        return self.sent[-1]

    def hear(self, message: dict[str, Any]) -> None:
        """A message belongs to the newest alert: the one before has long been through."""
        now = time.perf_counter()
        if not self.sent:
            return
        sent, data = self.sent[-1], message["data"]
        if message["type"] == "trade_executed":
            if data["action"] == "cancelled":
                sent.denied = True
            elif data["action"] == ("opened" if sent.action == "buy" else "closed"):
                sent.trade = sent.trade or now
        elif data["status"] == ("open" if sent.action == "buy" else "closed"):
            sent.position = sent.position or now


def trader(url: str) -> Trader:
    """Registered, its bot started."""
    client = ApiClient(url).register()
    client.ok("PUT", "/config/settings", {"trading": {"allowed_pairs": ["BTC-USD"], "max_position_size_usd": 100}})
    key = client.ok("POST", "/config/webhook-key", {})["webhook_key"]
    client.ok("POST", "/trading/start", {"broker": "coinbase", "paper_trading": True, "strategy": "SIGNALS_ONLY"})
    return Trader(client, key)


async def listen(connection: ClientConnection, one: Trader) -> None:
    async for text in connection:
        one.hear(orjson.loads(text))


async def signed_in(url: str, one: Trader, stack: AsyncExitStack) -> ClientConnection:
    """Follows both channels."""
    address = url.replace("http", "ws", 1) + "/ws/v1"
    connection = await stack.enter_async_context(connect(address, open_timeout=30, close_timeout=0.2, compression=None))
    said = [{"type": "auth", "token": f"Bearer {one.client.token}"}]
    said += [{"type": "subscribe", "channel": channel} for channel in ("trades", "positions")]
    for message, answer in zip(said, ("auth_success", "subscribed", "subscribed"), strict=True):
        await connection.send(orjson.dumps(message).decode())
        heard = orjson.loads(await connection.recv())
        if heard["type"] != answer:
            raise SystemExit(f"the socket said {heard}")
    return connection


async def alerts(url: str, traders: Sequence[Trader], rate: float, seconds: float) -> None:
    """Sends them, and hears what comes of them."""
    async with (
        AsyncExitStack() as stack,
        httpx.AsyncClient(base_url=url, timeout=30.0, limits=httpx.Limits(max_keepalive_connections=64)) as http,
        asyncio.TaskGroup() as group,
    ):
        listening = [group.create_task(listen(await signed_in(url, one, stack), one)) for one in traders]

        async def send(one: Trader, number: int, due: float) -> None:
            sent = one.next_alert(due)
            alert = {"symbol": "BTC-USD", "action": sent.action, "api_key": one.key, "alert_id": f"alert-{number}"}
            answer = await http.post(WEBHOOK, json=alert)
            sent.answered = time.perf_counter()
            if answer.status_code != 200:
                raise SystemExit(f"an alert was answered with {answer.status_code} {answer.text[:300]}")

        begun = time.perf_counter() + 0.1
        sending = []
        for number in range(round(rate * seconds)):
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            sending.append(asyncio.create_task(send(traders[number % len(traders)], number, due)))
        await asyncio.gather(*sending)
        deadline = time.perf_counter() + SETTLED_S
        while any(s.trade is None and not s.denied for one in traders for s in one.sent):
            if time.perf_counter() > deadline:
                break
            await asyncio.sleep(0.05)
        for task in listening:
            task.cancel()


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50_ms": round(cuts[49] * 1000, 1), "p99_ms": round(cuts[98] * 1000, 1)}


def measured(nija: Embedded | Distributed, users: int, rate: float, seconds: float) -> dict[str, Any]:
    """The figures of one platform that is running."""
    pids = [nija.process.pid] if isinstance(nija, Embedded) else [p.pid for p in nija.processes.values()]
    traders = [trader(nija.url) for _ in range(users)]
    for one in traders:
        wait_for("the bot runs", lambda: one.client.ok("GET", "/trading/status")["status"] == "running", every=0.2)  # noqa: B023
    before = processor_seconds(*pids)
    asyncio.run(alerts(nija.url, traders, rate, seconds))
    used = processor_seconds(*pids) - before
    sent = [each for one in traders for each in one.sent]
    # The first second warms up.
    begun = min(each.due for each in sent)
    counted = [each for each in sent if each.due > begun + 1.0 and not each.denied]
    lost = sum(each.trade is None for each in counted)
    if lost or len(counted) < 0.9 * len(sent) - rate:
        raise SystemExit(
            f"of {len(counted)} alerts {lost} came to nothing, and {len(sent) - len(counted)} do not count"
        )
    for one in traders:
        one.client.close()
    return {
        "alerts": len(counted),
        "denied": sum(each.denied for each in sent),
        "answered": percentiles([each.answered - each.due for each in counted if each.answered]),
        "trade": percentiles([each.trade - each.due for each in counted if each.trade]),
        "trade_after_the_answer": percentiles(
            [max(0.0, each.trade - each.answered) for each in counted if each.trade and each.answered]
        ),
        "position": percentiles([each.position - each.due for each in counted if each.position]),
        "processor_ms": round(used / len(sent) * 1000, 1),
    }


@contextmanager
def running(kind: str, folder: Path) -> Iterator[Embedded | Distributed]:
    """A platform of that kind. Raises `Unavailable`."""
    if kind == "embedded":
        with Embedded(folder, options=["--market", "replay", "--speed", "60"], env=ROOMY, forked=False) as nija:
            yield nija
        return
    with ExitStack() as stack:
        broker = stack.enter_context(started(kafka.launch, folder / "kafka"))
        wire = stack.enter_context(started(mongo.launch, folder / "mongo"))
        yield stack.enter_context(
            Distributed(
                folder,
                kafka=f"127.0.0.1:{broker.port}",
                mongo=mongo.url_of(wire.port),
                namespace="journey-",
                own_files=True,
                env={**ROOMY, "NIJA_SPEED": "60"},
            )
        )


def misses(kind: str, found: dict[str, Any]) -> list[str]:
    """In words, which goals are."""
    wrong = []
    for name, key in (("answered", "answered"), ("told", "trade_after_the_answer")):
        if found[key]["p99_ms"] > GOALS_MS[name]:
            wrong.append(f"{kind}: {name} p99 {found[key]['p99_ms']} ms, the goal is {GOALS_MS[name]:g}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=60, help="who send in turn; a free account makes 10 trades a day")
    parser.add_argument("--rate", type=float, default=20.0, help="alerts a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long they come")
    parser.add_argument("--kinds", default="embedded,distributed", help="which platforms, comma-separated")
    figures.add_options(parser)
    options = parser.parse_args()
    report: dict[str, Any] = {}
    wrong: list[str] = []
    for kind in options.kinds.split(","):
        with tempfile.TemporaryDirectory(prefix="nija-journey-") as folder:
            try:
                with running(kind, Path(folder)) as nija:
                    found = measured(nija, options.users, options.rate, options.seconds)
            except Unavailable as reason:
                print(f"{kind}: left out, {reason}")
                continue
        report[kind] = found
        wrong += misses(kind, found)
        print(f"{kind}, {found['alerts']} alerts at {options.rate:g} a second, {found['denied']} denied")
        for name in ("answered", "trade", "trade_after_the_answer", "position"):
            print(f"  {name:24} p50 {found[name]['p50_ms']:7.1f} ms   p99 {found[name]['p99_ms']:7.1f} ms")
        print(f"  {found['processor_ms']} ms of processor an alert", flush=True)
    return figures.ended(options, {"platforms": report}, wrong)


if __name__ == "__main__":
    sys.exit(main())
