"""What a scan costs: one worker steps all its running paper bots over 50 symbols.

    python benchmarks/bench_scan.py [--sizes 100,1000,10000] [--rounds 5] [--json PATH]

The worker's own code on a SQLite store in a temporary folder, with the bots already in it: the worker takes over all 24
shards, then steps. Three kinds of scans: `idle` (nobody holds anything, no market gives a signal), `entering` (12 % of
the bots get an entry signal), `holding` (those hold a position to which nothing happens). Prints processor
seconds of a scan (best of several; what other programs of the machine do hardly touches them), wall seconds, what one
more bot costs, what one more holder costs, and memory: what a bot alone keeps, and by how much the process has grown with
the take-over and the first scans (caches, and what the allocator does not give back, included).
Goals at 10,000 bots: an idle scan <= 1 s, <= 50 us a further bot that does nothing, <= 10 KB a bot.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from nija_common.events.preferences import TradingSettings
from nija_common.storage.unit_of_work import Work
from nija_common.testing import start_platform
from nija_common.values.clock import SystemClock
from nija_common.values.document import Document
from nija_common.values.shards import PARTITIONS
from nija_common.values.tiers import Tier, effective
from nija_trading import wiring
from nija_trading.adapters.replay_market import ReplayMarket
from nija_trading.deps import Deps
from nija_trading.domain import account as accounts
from nija_trading.domain.apex.parameters import RiskProfile
from nija_trading.domain.apex.step import SymbolClose
from nija_trading.domain.controls import REPLAY, UNTRIPPED, MarketClock
from nija_trading.domain.market.candles import Candles
from nija_trading.domain.records import PAPER_CASH, new_paper_account
from nija_trading.domain.standing import Preferences, Standing
from nija_trading.handlers import pool, worker
from nija_trading.handlers.memory import Bot, HeldShard
from nija_trading.handlers.pool import Worker
from nija_trading.service import SERVICE

SYMBOLS = tuple(f"S{number:02d}-USD" for number in range(50))
PAIRS = 3
"""A bot trades so many of them."""
SIGNALLED = SYMBOLS[:2]
"""Traded by 12 of 100 bots."""
BARS = 400
FIVE_MINUTES_MS = 300_000
START_MS = 1_700_000_100_000
GOAL_SCAN_S, GOAL_BOT_US, GOAL_BOT_KB = 1.0, 50.0, 10.0
LEVELS = ("low", "medium", "high")
SHARED = (type, ModuleType, FunctionType, HeldShard, ReplayMarket)
"""What is no bot's own."""


class Signalled(ReplayMarket):
    """A calm market in which two of the symbols ask for an entry at one chosen step."""

    signal_ms: int | None = None

    def closes(
        self, broker: str, symbols: Iterable[str], step_ms: int, profile: RiskProfile
    ) -> tuple[SymbolClose, ...]:
        found = super().closes(broker, symbols, step_ms, profile)
        if step_ms != self.signal_ms:
            return found
        return tuple(_asking(close) if close.symbol in SIGNALLED else close for close in found)


def _asking(close: SymbolClose) -> SymbolClose:
    row = close.row._replace(denial=None, direction=1, score_long=5)
    return SymbolClose(close.symbol, close.candle, row)


def calm(number: int) -> Candles:
    """Candles that rise by 0.0001 % each: nothing is reached."""
    rows = []
    level = 10_000.0 + number
    for bar in range(BARS):
        opened, closed = level * (1 + bar * 1e-6), level * (1 + (bar + 1) * 1e-6)
        rows.append((START_MS + bar * FIVE_MINUTES_MS, opened, closed * 1.0001, opened * 0.9999, closed, 5.0 + bar % 3))
    return Candles.of(FIVE_MINUTES_MS, rows)


def bot(number: int, step_ms: int) -> list[Document]:
    """The documents of one running bot on paper."""
    user_id = f"usr_{number:06d}"
    asked, _ = accounts.begin(
        accounts.new_account(user_id),
        broker="coinbase",
        paper=True,
        strategy="APEX_V72",
        risk_profile=LEVELS[number % 3],
        switch=UNTRIPPED,
        at_ms=START_MS,
    )
    running, _ = accounts.run(asked, cash=PAPER_CASH, step_ms=step_ms, live=False, at_ms=START_MS)
    pairs = tuple(SYMBOLS[(number + 7 * turn) % len(SYMBOLS)] for turn in range(PAIRS))
    return [
        running,
        new_paper_account(user_id, "coinbase"),
        Standing(id=user_id, effective=(effective(Tier.PRO, from_ms=0, live=False),)),
        Preferences(id=user_id, trading=TradingSettings(allowed_pairs=pairs)),
    ]


async def fill(work: Work, bots: int, step_ms: int) -> None:
    """Writes the bots, some hundred in a commit."""
    for start in range(0, bots, 250):
        uow = work.open()
        for number in range(start, min(start + 250, bots)):
            uow.save(*bot(number, step_ms))
        await work.commit(uow, deadline_s=60.0)


@dataclass(slots=True)
class Clocked:
    """Processor and wall seconds of something."""

    cpu: float = 0.0
    wall: float = 0.0


async def clocked(awaitable: Any) -> Clocked:
    cpu, wall = time.process_time(), time.perf_counter()
    await awaitable
    return Clocked(time.process_time() - cpu, time.perf_counter() - wall)


def resident() -> int:
    """This process's resident bytes; 0 where there is no `/proc`."""
    gc.collect()
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def kept(bots: Sequence[Bot]) -> float:
    """Bytes of what a bot alone keeps in memory: everything that can be reached from it and not from the first of them."""
    seen: set[int] = set()
    sizes = [_reached([bot], seen) for bot in bots]
    return sum(sizes[1:]) / max(1, len(sizes) - 1)


def _reached(start: list[object], seen: set[int]) -> int:
    total, left = 0, list(start)
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, SHARED):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        left += gc.get_referents(each)
    return total


class Scanner:
    """A worker of its own, whose market is at whatever step the benchmark says."""

    def __init__(self, deps: Deps, market: Signalled) -> None:
        self.market = market
        self.worker = Worker(deps, market)
        self.step_ms = market.first_ms - 1

    async def take_over(self) -> None:
        self.worker.anchored = True
        while len(self.worker.shards) < PARTITIONS:
            await pool.renew(self.worker)
            await asyncio.sleep(0.01)

    async def scan(self) -> None:
        """The next step of every bot."""
        following = self.market.after(self.step_ms)
        assert following is not None
        now_ms = await self.worker.deps.storage.now_ms()
        self.worker.clock = MarketClock(id=REPLAY, anchor_wall_ms=now_ms, anchor_step_ms=following)
        self.worker.clock_read = True
        await worker.step(self.worker)
        self.step_ms = following

    def holders(self) -> int:
        return sum(1 for bot in self.worker.bots() if bot.memory is not None and bot.memory.account.positions)


async def measure(folder: Path, bots: int, rounds: int) -> dict[str, float]:
    """All kinds of scans of one size."""
    env = {"NIJA_TRADING_LEASE_MS": "3600000", "NIJA_MARKET": "replay", "NIJA_LOG_LEVEL": "error"}
    market = Signalled({symbol: calm(number) for number, symbol in enumerate(SYMBOLS)}, speed=1.0)
    service = replace(SERVICE, build=partial(wiring.build, market=market))
    async with start_platform(
        folder, [service], clock=SystemClock(), env=env, roles={SERVICE.name: ("api",)}
    ) as running:
        deps: Deps = running.deps(SERVICE.name)
        await fill(deps.work, bots, market.first_ms - 1)
        scanner = Scanner(deps, market)
        before = resident()
        taken = await clocked(scanner.take_over())
        idle = [await clocked(scanner.scan()) for _ in range(rounds + 2)]
        grown, own = resident() - before, kept(scanner.worker.bots()[:500])
        market.signal_ms = market.after(scanner.step_ms)
        entering = await clocked(scanner.scan())
        await scanner.scan()
        holders = scanner.holders()
        holding = [await clocked(scanner.scan()) for _ in range(rounds)]
    quiet, busy = min(c.cpu for c in idle[1:]), min(c.cpu for c in holding)
    return {
        "bots": bots,
        "take_over_cpu_s": round(taken.cpu, 3),
        "first_cpu_s": round(idle[0].cpu, 4),
        "idle_cpu_s": round(quiet, 4),
        "idle_wall_s": round(min(c.wall for c in idle[1:]), 4),
        "entering_cpu_s": round(entering.cpu, 3),
        "holders": holders,
        "entry_us": round(entering.cpu / max(1, holders) * 1e6, 1),
        "holding_cpu_s": round(busy, 4),
        "holder_us": round((busy - quiet) / max(1, holders) * 1e6, 1),
        "bot_kb": round(own / 1024, 2),
        "grown_mb": round(grown / 2**20, 1),
    }


def rows(found: Sequence[dict[str, float]]) -> list[str]:
    """The table, and what a further bot costs between the two largest sizes."""
    names = list(found[0])
    lines = [" ".join(f"{name:>15}" for name in names)]
    lines += [" ".join(f"{each[name]:>15g}" for name in names) for each in found]
    return lines


def further_bot_us(found: Sequence[dict[str, float]]) -> float:
    """What a bot that does nothing adds to a scan, from the smallest size to the largest."""
    first, last = found[0], found[-1]
    if first is last:
        return last["idle_cpu_s"] / last["bots"] * 1e6
    return (last["idle_cpu_s"] - first["idle_cpu_s"]) / (last["bots"] - first["bots"]) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100,1000,10000", help="how many bots, comma-separated")
    parser.add_argument("--rounds", type=int, default=5, help="scans of a kind; the best counts")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    found = []
    for size in sorted(int(size) for size in options.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="nija-scan-") as folder:
            found.append(asyncio.run(measure(Path(folder), size, options.rounds)))
    print("\n".join(rows(found)))
    further, last = further_bot_us(found), found[-1]
    print(f"a further bot that does nothing: {further:.1f} us (goal {GOAL_BOT_US:g})")
    print(
        f"an idle scan of {last['bots']}: {last['idle_cpu_s']:.3f} s of processor time (goal {GOAL_SCAN_S:g} at 10,000)"
    )
    print(f"memory: {last['bot_kb']:.1f} KB a bot (goal {GOAL_BOT_KB:g})")
    if options.json is not None:
        about = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
        options.json.write_text(
            json.dumps({"about": about, "sizes": found, "further_bot_us": further}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
