"""What a user's history costs: every read endpoint with 1,000, 10,000 and 100,000 closed trades behind it.

    python benchmarks/bench_history.py [--sizes 1000,10000,100000] [--rate 50] [--seconds 6] [--bound-ms 25] [--json PATH]

Starts `nija up` on a folder of its own, registers a user for each size, and gives the trades through the bus, as
trading-engine would tell of them: the services count them themselves. Then each endpoint is called through the
gateway at a steady rate, whether or not the answer before has come; a latency counts from the moment a call was due.
Afterwards all of them are called in turn at the same rate. That no GET of the API is left out is checked against the
API's document.

Prints p50 and p99 in milliseconds, the very first call's time (nothing is kept of the user yet), the platform's
processor time for a call (Linux only; what other programs of the machine do hardly touches it), and how they grow.
Goal: p99 <= 25 ms at 100,000 trades. With `--bound-ms` the status is 1 where an endpoint's p99, alone or among the
others, or that of all calls together, is above it at the largest size.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from nija_common.events.base import Event
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import BalanceRead, BotStatusChanged, TradeClosed, TradeOpened
from nija_common.runtime.infrastructure import Infrastructure, open_infrastructure
from nija_common.runtime.settings import PlatformSettings
from nija_common.storage.unit_of_work import Work
from nija_common.testing.client import PASSWORD, ApiClient
from nija_common.testing.events import example_of
from nija_common.testing.platforms import Embedded
from nija_common.testing.processes import processor_seconds
from nija_common.values.clock import SystemClock
from nija_common.values.tiers import Tier, effective

GOAL_MS = 25.0
APART_MS = 15 * 60_000
"""A trade every quarter of an hour: 100,000 of them are nearly three years."""
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD", "XRP-USD")
BATCH = 500
APPLIED_S = 1_200.0
RESTING = 0.1
"""Of one processor, below which the platform has nothing left to do."""

ENDPOINTS = (
    "/account/balance",
    "/account/positions",
    "/account/history",
    "/account/history?page={deep}",
    "/account/history?symbol=BTC-USD&status=closed",
    "/account/performance",
    "/account/performance?period=all",
    "/account/stats",
    "/analytics/dashboard",
    "/analytics/trades",
    "/analytics/trades?period=all&group_by=day",
    "/analytics/trades?period=1y&symbol=BTC-USD&group_by=month",
    "/trading/status",
    "/config/settings",
    "/config/brokers",
    "/config/webhook-key",
    "/subscription/plans",
    "/subscription/current",
    "/subscription/usage",
)
ADMIN_ENDPOINTS = ("/admin/users", "/admin/users/{user_id}", "/admin/metrics", "/admin/audit-logs")
DOCUMENT = Path(__file__).parents[1] / "docs/openapi.json"
API = "/api/v1"
TOGETHER = "all in turn"
TOGETHER_TIMES = 5
"""How much longer than one endpoint alone all of them in turn are called."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One endpoint as it is called: the name it has in the report, the path with its query, and who calls."""

    name: str
    path: str
    token: str


def unmeasured() -> list[str]:
    """GETs of the API's document that are in no list above."""
    measured = {path.partition("?")[0] for path in (*ENDPOINTS, *ADMIN_ENDPOINTS)}
    paths = json.loads(DOCUMENT.read_text())["paths"]
    reads = [path.removeprefix(API) for path, methods in paths.items() if "get" in methods and path.startswith(API)]
    return sorted(set(reads) - measured)


def beginning(user_id: str, at_ms: int) -> Iterator[Event]:
    """An account with 10,000 USD, a bot that ran on paper, and a limit that the benchmark does not reach."""
    stretch = effective(Tier.ENTERPRISE, from_ms=at_ms, live=False)
    roomy = stretch.model_copy(update={"limits": stretch.limits.model_copy(update={"api_calls_per_minute": 10**6})})
    for _ in range(3):
        # The newest revision counts: billing has spoken before.
        yield example_of(SubscriptionSnapshot, user_id=user_id, tier=Tier.ENTERPRISE, effective=(roomy,))
    yield example_of(BotStatusChanged, user_id=user_id, paper=True, at_ms=at_ms)
    yield example_of(BalanceRead, user_id=user_id, cash="10000", initial=True, paper=True, at_ms=at_ms)


def history(user_id: str, trades: int, now_ms: int) -> Iterator[Event]:
    """Opened and closed, one after the other, the last of them now; a third of them are lost."""
    for number in range(trades):
        closed_at_ms = now_ms - (trades - 1 - number) * APART_MS
        of_trade: dict[str, Any] = {
            "user_id": user_id,
            "trade_id": f"trd_{user_id}_{number}",
            "position_id": f"pos_{user_id}_{number}",
            "symbol": SYMBOLS[number % len(SYMBOLS)],
            "paper": True,
        }
        opened_at_ms = closed_at_ms - 10 * 60_000
        yield example_of(TradeOpened, **of_trade, at_ms=opened_at_ms)
        pnl = -1.5 if number % 3 == 0 else 1.25
        yield example_of(
            TradeClosed,
            **of_trade,
            realized_pnl=f"{pnl}",
            realized_pnl_pct=pnl / 5,
            opened_at_ms=opened_at_ms,
            closed_at_ms=closed_at_ms,
        )


async def give(infrastructure: Infrastructure, events: Sequence[Event]) -> None:
    """Puts events on the bus as a producer does, a commit for each batch."""
    work = Work(infrastructure.storage_of("history"), infrastructure.bus, SystemClock(), "history")
    for start in range(0, len(events), BATCH):
        uow = work.open()
        uow.emit(*events[start : start + BATCH])
        await work.commit(uow, deadline_s=60.0)


async def applied(client: ApiClient, trades: int) -> None:
    """Waits until the two services that keep a history have all of it."""
    deadline = time.monotonic() + APPLIED_S
    while time.monotonic() < deadline:
        counted = (await asyncio.to_thread(client.get, "/account/performance?period=all")).data
        listed = (await asyncio.to_thread(client.get, "/account/history?status=closed&per_page=1")).data
        if (
            counted["metrics"]["total_trades"] == trades
            and (listed or {"pagination": {"total_items": 0}})["pagination"]["total_items"] == trades
        ):
            return
        await asyncio.sleep(0.5)
    raise SystemExit(f"{trades} trades were not applied within {APPLIED_S:g} s")


async def at_rest(pid: int) -> None:
    """Waits until the services that keep no history are done with the events too: the platform hardly uses a processor."""
    deadline, before = time.monotonic() + APPLIED_S, used_seconds(pid)
    while before is not None:
        await asyncio.sleep(1.0)
        after = used_seconds(pid)
        if after is None or after - before < RESTING:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"the platform is not at rest after {APPLIED_S:g} s")
        before = after


def used_seconds(pid: int) -> float | None:
    """What a process has used so far; None where there is no `/proc`."""
    try:
        return processor_seconds(pid)
    except OSError:
        return None


async def measure(url: str, asked: Sequence[Asked], *, rate: float, seconds: float) -> dict[str, list[float]]:
    """Latencies in milliseconds by name, of calls in turn at a steady rate, from the moment each was due; before
    them, under "first", that of the first call of all."""
    latencies: dict[str, list[float]] = defaultdict(list)
    limits = httpx.Limits(max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=url, timeout=30.0, limits=limits) as http:

        async def call(one: Asked, due: float) -> None:
            answer = await http.get(f"{API}{one.path}", headers={"Authorization": f"Bearer {one.token}"})
            latencies[one.name].append((time.perf_counter() - due) * 1000)
            if answer.status_code != 200:
                raise SystemExit(f"{one.path}: {answer.status_code} {answer.text[:300]}")

        for number in range(max(5, len(asked))):
            await call(asked[number % len(asked)], time.perf_counter())
        first = latencies[asked[0].name][0]
        latencies.clear()
        latencies["first"] = [first]
        started = time.perf_counter() + 0.1
        async with asyncio.TaskGroup() as group:
            for number in range(round(rate * seconds)):
                due = started + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(call(asked[number % len(asked)], due))
    return latencies


def percentiles(latencies: Sequence[float]) -> dict[str, float]:
    """p50, p99 and how many calls there were."""
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return {"p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2), "calls": len(latencies)}


async def alone(nija: Embedded, one: Asked, rate: float, seconds: float) -> dict[str, float]:
    """One endpoint by itself."""
    before = used_seconds(nija.process.pid)
    latencies = await measure(nija.url, [one], rate=rate, seconds=seconds)
    after = used_seconds(nija.process.pid)
    figures = percentiles(latencies[one.name])
    figures["first_ms"] = round(latencies["first"][0], 2)
    if before is not None and after is not None:
        figures["processor_ms"] = round((after - before) * 1000 / figures["calls"], 2)
    return figures


async def together(nija: Embedded, asked: Sequence[Asked], rate: float, seconds: float) -> dict[str, dict[str, float]]:
    """All endpoints in turn: the figures of each by its name, and of all of them under `TOGETHER`."""
    before = used_seconds(nija.process.pid)
    latencies = await measure(nija.url, asked, rate=rate, seconds=seconds * TOGETHER_TIMES)
    after = used_seconds(nija.process.pid)
    found = {one.name: percentiles(latencies[one.name]) for one in asked}
    whole = percentiles([latency for one in asked for latency in latencies[one.name]])
    if before is not None and after is not None:
        whole["processor_ms"] = round((after - before) * 1000 / whole["calls"], 2)
    return {**found, TOGETHER: whole}


async def of_size(
    nija: Embedded, asked: Sequence[Asked], rate: float, seconds: float
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Each endpoint alone, then all of them in turn; printed as they come."""
    found: dict[str, dict[str, float]] = {}
    for one in asked:
        figures = found[one.name] = await alone(nija, one, rate, seconds)
        print(
            f"  {one.name:58} p50 {figures['p50_ms']:7.2f}  p99 {figures['p99_ms']:7.2f}"
            f"  first {figures['first_ms']:7.2f}  processor {figures.get('processor_ms', float('nan')):6.2f} ms",
            flush=True,
        )
    mixed = await together(nija, asked, rate, seconds)
    whole = mixed[TOGETHER]
    print(
        f"  {TOGETHER:58} p50 {whole['p50_ms']:7.2f}  p99 {whole['p99_ms']:7.2f}"
        f"  {'':13}  processor {whole.get('processor_ms', float('nan')):6.2f} ms",
        flush=True,
    )
    return found, mixed


def asked_of(client: ApiClient, size: int, admins: Mapping[str, str]) -> list[Asked]:
    """Every endpoint, by the user and by the administrator that each of theirs has."""
    assert client.token is not None
    own = [Asked(path, path.format(deep=max(1, size // 100)), client.token) for path in ENDPOINTS]
    return own + [Asked(path, path.format(user_id=client.user_id), token) for path, token in admins.items()]


def administrators(nija: Embedded) -> dict[str, str]:
    """A token for each endpoint of theirs: nothing lifts the limit of an administrator's calls a minute."""
    tokens: dict[str, str] = {}
    for number, path in enumerate(ADMIN_ENDPOINTS):
        client = ApiClient(nija.url)
        client.email = f"root{number}@nija.example"
        nija.create_admin(client.email, PASSWORD)
        token = client.login().token
        client.close()
        assert token is not None
        tokens[path] = token
    return tokens


async def run(folder: Path, sizes: Sequence[int], rate: float, seconds: float) -> dict[str, Any]:
    """Every endpoint at every size."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    mixed: dict[str, dict[str, Any]] = defaultdict(dict)
    taken: dict[str, float] = {}
    with Embedded(folder, options=["--market", "replay"]) as nija:
        settings = PlatformSettings(data_dir=nija.data_dir)
        admins = administrators(nija)
        for size in sizes:
            client = ApiClient(nija.url).register()
            now_ms = SystemClock().now_ms()
            async with open_infrastructure(settings, SystemClock(), second=True) as infrastructure:
                started = time.monotonic()
                begin_ms = now_ms - size * APART_MS - 86_400_000
                events = [*beginning(client.user_id, begin_ms), *history(client.user_id, size, now_ms)]
                await give(infrastructure, events)
            await applied(client, size)
            await at_rest(nija.process.pid)
            client.ok("POST", "/config/webhook-key")
            taken[str(size)] = round(time.monotonic() - started, 1)
            print(f"\n{size:,} trades, applied by every service after {taken[str(size)]} s", flush=True)
            each, turns = await of_size(nija, asked_of(client, size, admins), rate, seconds)
            for name, figures in each.items():
                found[name][str(size)] = figures
            for name, figures in turns.items():
                mixed[name][str(size)] = figures
            client.close()
    return {
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "rate_per_second": rate,
        "applied_seconds": taken,
        "goal_p99_ms": GOAL_MS,
        "endpoints": found,
        "together": mixed,
    }


def show_growth(report: dict[str, Any], sizes: Sequence[int]) -> None:
    """A line for each endpoint: its p99 from the smallest history to the largest."""
    first, last = str(sizes[0]), str(sizes[-1])
    print(f"\np99 in ms from {sizes[0]:,} to {sizes[-1]:,} trades (goal {GOAL_MS:g})")
    for path, figures in report["endpoints"].items():
        before, after = figures[first]["p99_ms"], figures[last]["p99_ms"]
        mark = "" if after <= GOAL_MS else "   above the goal"
        print(f"  {path:58} {before:7.2f} -> {after:7.2f}   x {after / before:.1f}{mark}")


def above(report: dict[str, Any], size: int, bound_ms: float) -> list[str]:
    """In words, what is above the bound at that size."""
    return [
        f"{path} ({how}): p99 {figures[str(size)]['p99_ms']:g} ms"
        for how, part in (("alone", "endpoints"), ("among the others", "together"))
        for path, figures in report[part].items()
        if figures[str(size)]["p99_ms"] > bound_ms
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000", help="numbers of trades, comma-separated")
    parser.add_argument("--rate", type=float, default=50.0, help="calls a second")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each endpoint is called")
    parser.add_argument("--bound-ms", type=float, help="status 1 if a p99 at the largest size is above it")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if unmeasured():
        raise SystemExit(f"not measured: {', '.join(unmeasured())}")
    sizes = sorted(int(size) for size in options.sizes.split(","))
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(Path(folder), sizes, options.rate, options.seconds))
    show_growth(report, sizes)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    late = [] if options.bound_ms is None else above(report, sizes[-1], options.bound_ms)
    if late:
        print(f"\nabove {options.bound_ms:g} ms:\n  " + "\n  ".join(late), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
