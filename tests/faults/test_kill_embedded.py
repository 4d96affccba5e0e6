"""`nija up` is killed with SIGKILL at random moments under load, and started again: nothing acknowledged is lost,
nothing happens twice (promise 5 for the platform as a whole)."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from nija_common.testing.client import ApiClient
from nija_common.testing.long_run import LONG
from nija_common.testing.platforms import Embedded, run_nija, wait_for

SEEDS = (1, 2, 3) if LONG else (1,)
KILLS = 10 if LONG else 6
USERS = 4


@dataclass
class Trader:
    """One user under load, and what the platform has acknowledged to it."""

    client: ApiClient
    webhook_key: str
    size: int = 100
    sizes_in_doubt: set[int] = field(default_factory=set)
    running: bool = True
    running_in_doubt: bool = False
    trades: dict[str, str] = field(default_factory=dict)
    alerts_sent: int = 0
    problems: list[str] = field(default_factory=list)

    def turn(self, rng: random.Random) -> None:
        """One random change. A call without an answer leaves its effect in doubt, never failed."""
        rng.choice((self._settings, self._alert, self._alert, self._bot))(rng)

    def _settings(self, rng: random.Random) -> None:
        wanted = rng.randint(101, 1900)
        self.sizes_in_doubt.add(wanted)
        answer = self.client.put("/config/settings", {"trading": {"max_position_size_usd": wanted}})
        if answer.status == 200:
            self.size = wanted
            self.sizes_in_doubt = set()
        elif answer.status < 500:
            self.sizes_in_doubt.discard(wanted)

    def _alert(self, rng: random.Random) -> None:
        self.alerts_sent += 1
        alert_id = f"{self.client.user_id}-{self.alerts_sent}"
        body = {
            "symbol": "BTC-USD",
            "action": rng.choice(("buy", "buy", "sell")),
            "strategy": "APEX_V72",
            "api_key": self.webhook_key,
            "alert_id": alert_id,
        }
        answer = self.client.post("/webhooks/tradingview", body)
        if answer.status == 200:
            trade_id = answer.data["trade_id"]
            # A sell answers with the trade that it closes; a buy is always a trade of its own.
            if body["action"] == "buy" and trade_id in self.trades:
                self.problems.append(f"two alerts, one trade {trade_id}")
            self.trades[trade_id] = alert_id

    def _bot(self, rng: random.Random) -> None:
        self.running_in_doubt = True
        if rng.random() < 0.3:
            answer, running = self.client.post("/trading/stop", {"close_positions": rng.random() < 0.5}), False
        else:
            body = {"broker": "coinbase", "paper_trading": True, "strategy": "SIGNALS_ONLY"}
            answer, running = self.client.post("/trading/start", body), True
        if answer.status == 200:
            self.running = running
        self.running_in_doubt = answer.status >= 500

    def check(self, open_symbols: set[str]) -> None:
        """What was acknowledged is there."""
        settings = self.client.ok("GET", "/config/settings")["trading"]
        assert int(settings["max_position_size_usd"]) in {self.size, *self.sizes_in_doubt}
        self.size, self.sizes_in_doubt = int(settings["max_position_size_usd"]), set()
        status = self.client.ok("GET", "/trading/status")["status"]
        if not self.running_in_doubt:
            assert (status != "stopped") == self.running, status
        self.running, self.running_in_doubt = status != "stopped", False
        listed = self._history()
        assert len(listed) == len(set(listed)), "a trade is listed twice"
        missing = set(self.trades) - set(listed)
        assert not missing, f"acknowledged and gone: {missing}"
        assert len(listed) <= self.alerts_sent
        positions = [p["symbol"] for p in self.client.ok("GET", "/account/positions")["positions"]]
        assert len(positions) == len(set(positions)), "two positions of one symbol"
        assert set(positions) <= open_symbols
        assert not self.problems, self.problems

    def _history(self) -> list[str]:
        found: list[str] = []
        page, more = 1, True
        while more:
            data = self.client.ok("GET", f"/account/history?per_page=100&page={page}")
            found += [trade["trade_id"] for trade in data["trades"]]
            page, more = page + 1, data["pagination"]["has_next"]
        return found

    def caught_up(self) -> bool:
        """Whether the read model of history has every trade of ours."""
        return set(self.trades) <= set(self._history())


@contextmanager
def load(traders: list[Trader], seed: int) -> Iterator[None]:
    """Every trader changes things, as fast as answers come, until the context ends."""
    over = threading.Event()
    failures: list[BaseException] = []

    def work(index: int, trader: Trader) -> None:
        rng = random.Random(seed * 1000 + index)
        while not over.is_set():
            try:
                trader.turn(rng)
            except httpx.TransportError:
                over.wait(0.02)
            except Exception as error:  # noqa: BLE001 - raised below, in the test's own thread
                failures.append(error)
                return

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(traders)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def trader(platform: Embedded) -> Trader:
    """A user with a webhook key and a running bot that trades on signals only."""
    client = ApiClient(platform.url).register()
    client.ok("PUT", "/config/settings", {"trading": {"allowed_pairs": ["BTC-USD"], "max_position_size_usd": 100}})
    key = client.ok("POST", "/config/webhook-key")["webhook_key"]
    client.ok("POST", "/trading/start", {"broker": "coinbase", "paper_trading": True, "strategy": "SIGNALS_ONLY"})
    return Trader(client, key)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_acknowledged_is_lost_and_nothing_happens_twice(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    with Embedded(tmp_path, options=["--market", "replay", "--speed", "600"]) as platform:
        traders = [trader(platform) for _ in range(USERS)]
        for _ in range(KILLS):
            with load(traders, rng.randrange(1 << 30)):
                threading.Event().wait(rng.uniform(0.05, 1.2))
                platform.process.kill()
            platform.start()
            for each in traders:
                wait_for(f"history has every trade (seed {seed})", each.caught_up, every=0.2)
                each.check({"BTC-USD"})
        for each in traders:
            each.client.close()
        assert platform.process.stop() == 0
    parked = run_nija(["parked", "list", "--data-dir", str(platform.data_dir)], env=platform.env)
    assert (parked.returncode, parked.stdout.strip()) == (0, "no key is parked"), parked.stdout + parked.stderr
