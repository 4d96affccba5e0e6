"""What a user's history costs: every read endpoint with 1,000, 10,000 and 100,000 closed trades behind it.

    python benchmarks/bench_history.py [--sizes 1000,10000,100000] [--rate 50] [--seconds 6] [--json PATH]

Starts `nija up` on a folder of its own, registers a user for each size, and gives the trades through the bus, as
trading-engine would tell of them: the services count them themselves. Then each endpoint is called through the
gateway at a steady rate, whether or not the answer before has come; a latency counts from the moment a call was due.
Prints p50 and p99 in milliseconds, the platform's processor time for a call (Linux only; what other programs of the
machine do hardly touches it), and how they grow. Goal: p99 <= 25 ms at 100,000 trades.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from nija_common.events.base import Event
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import BalanceRead, BotStatusChanged, TradeClosed, TradeOpened
from nija_common.runtime.infrastructure import Infrastructure, open_infrastructure
from nija_common.runtime.settings import PlatformSettings
from nija_common.storage.unit_of_work import Work
from nija_common.testing.client import ApiClient
from nija_common.testing.events import example_of
from nija_common.testing.platforms import Embedded
from nija_common.values.clock import SystemClock
from nija_common.values.tiers import Tier, effective

GOAL_MS = 25.0
APART_MS = 15 * 60_000
"""A trade every quarter of an hour: 100,000 of them are nearly three years."""
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD", "XRP-USD")
BATCH = 500
APPLIED_S = 1_200.0

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
    "/subscription/current",
)


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


def processor_seconds(pid: int) -> float | None:
    """What a process has used so far, of its own and of the system's time; None where there is no `/proc`."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(url: str, token: str, path: str, *, rate: float, seconds: float) -> dict[str, float]:
    """Latencies in milliseconds of calls at a steady rate, from the moment each was due."""
    latencies: list[float] = []
    limits = httpx.Limits(max_keepalive_connections=64)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30.0, limits=limits) as http:

        async def call(due: float) -> None:
            answer = await http.get(f"/api/v1{path}")
            latencies.append((time.perf_counter() - due) * 1000)
            if answer.status_code != 200:
                raise SystemExit(f"{path}: {answer.status_code} {answer.text[:300]}")

        for _ in range(5):
            await call(time.perf_counter())
        latencies.clear()
        started = time.perf_counter() + 0.1
        async with asyncio.TaskGroup() as group:
            for number in range(round(rate * seconds)):
                due = started + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(call(due))
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return {"p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2), "calls": len(latencies)}


async def run(folder: Path, sizes: Sequence[int], rate: float, seconds: float) -> dict[str, Any]:
    """Every endpoint at every size."""
    found: dict[str, dict[str, Any]] = {path: {} for path in ENDPOINTS}
    taken: dict[str, float] = {}
    with Embedded(folder, options=["--market", "replay"]) as nija:
        settings = PlatformSettings(data_dir=nija.data_dir)
        for size in sizes:
            client = ApiClient(nija.url).register()
            assert client.token is not None
            now_ms = SystemClock().now_ms()
            async with open_infrastructure(settings, SystemClock(), second=True) as infrastructure:
                started = time.monotonic()
                begin_ms = now_ms - size * APART_MS - 86_400_000
                events = [*beginning(client.user_id, begin_ms), *history(client.user_id, size, now_ms)]
                await give(infrastructure, events)
            await applied(client, size)
            taken[str(size)] = round(time.monotonic() - started, 1)
            print(f"\n{size:,} trades, given and applied in {taken[str(size)]} s", flush=True)
            for path in ENDPOINTS:
                asked = path.format(deep=max(1, size // 100))
                before = processor_seconds(nija.process.pid)
                figures = await measure(nija.url, client.token, asked, rate=rate, seconds=seconds)
                after = processor_seconds(nija.process.pid)
                if before is not None and after is not None:
                    figures["processor_ms"] = round((after - before) * 1000 / figures["calls"], 2)
                found[path][str(size)] = figures
                print(
                    f"  {asked:58} p50 {figures['p50_ms']:7.2f}  p99 {figures['p99_ms']:7.2f}"
                    f"  processor {figures.get('processor_ms', float('nan')):6.2f} ms",
                    flush=True,
                )
            client.close()
    return {
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "rate_per_second": rate,
        "applied_seconds": taken,
        "goal_p99_ms": GOAL_MS,
        "endpoints": found,
    }


def show_growth(report: dict[str, Any], sizes: Sequence[int]) -> None:
    """A line for each endpoint: its p99 from the smallest history to the largest."""
    first, last = str(sizes[0]), str(sizes[-1])
    print(f"\np99 in ms from {sizes[0]:,} to {sizes[-1]:,} trades (goal {GOAL_MS:g})")
    for path, figures in report["endpoints"].items():
        before, after = figures[first]["p99_ms"], figures[last]["p99_ms"]
        mark = "" if after <= GOAL_MS else "   above the goal"
        print(f"  {path:58} {before:7.2f} -> {after:7.2f}   x {after / before:.1f}{mark}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000", help="numbers of trades, comma-separated")
    parser.add_argument("--rate", type=float, default=50.0, help="calls a second")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each endpoint is called")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    sizes = sorted(int(size) for size in options.sizes.split(","))
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(Path(folder), sizes, options.rate, options.seconds))
    show_growth(report, sizes)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
