"""A backup taken while users trade, put in the place of what came after it: consistent, and everything goes on from there.

NIJA_TEST_LONG=1 runs it; what it stands on is tested in `libs/nija_common/tests/sqlite` and `apps/nija/tests/operating`.
"""

from __future__ import annotations

import json
import random
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from nija_common.testing.client import ApiClient
from nija_common.testing.long_run import only_long
from nija_common.testing.platforms import Embedded, run_nija, wait_for

USERS = 3


class Trader:
    """A user whose alerts come as fast as answers."""

    def __init__(self, platform: Embedded) -> None:
        self.client = ApiClient(platform.url).register()
        ok = self.client.ok
        ok("PUT", "/config/settings", {"trading": {"allowed_pairs": ["BTC-USD"], "max_position_size_usd": 100}})
        self.key = ok("POST", "/config/webhook-key")["webhook_key"]
        ok("POST", "/trading/start", {"broker": "coinbase", "paper_trading": True, "strategy": "SIGNALS_ONLY"})
        self.sent = 0

    def alert(self, action: str) -> str:
        """The id of the trade that it opens or closes."""
        self.sent += 1
        body = {
            "symbol": "BTC-USD",
            "action": action,
            "strategy": "APEX_V72",
            "api_key": self.key,
            "alert_id": f"{self.client.user_id}-{self.sent}-{random.random()}",
        }
        answer = self.client.post("/webhooks/tradingview", body)
        return "" if answer.status != 200 else str(answer.data["trade_id"])

    def history(self) -> set[str]:
        return {trade["trade_id"] for trade in self.client.ok("GET", "/account/history?per_page=100")["trades"]}


@contextmanager
def load(traders: list[Trader]) -> Iterator[None]:
    over = threading.Event()

    def work(trader: Trader) -> None:
        while not over.is_set():
            trader.alert("buy")
            trader.alert("sell")

    threads = [threading.Thread(target=work, args=(trader,)) for trader in traders]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def bodies(connection: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    return [json.loads(row[0]) for row in connection.execute(f"SELECT body FROM {table}")]


def check_consistent(database: Path) -> int:
    """Positions are the sums of their fills, and the log tells what the documents say; how many trades there are."""
    with closing(sqlite3.connect(database)) as connection:
        trades = {trade["id"]: trade for trade in bodies(connection, "trading_engine__trades")}
        positions = {position["trade_id"]: position for position in bodies(connection, "trading_engine__positions")}
        told: dict[str, set[str]] = {}
        for (value,) in connection.execute("SELECT value FROM log_records"):
            event = json.loads(value)
            told.setdefault(str(event["data"].get("trade_id")), set()).add(event["type"])
    for trade_id, trade in trades.items():
        held = sum(fill["quantity"] * (1 if fill["side"] == "buy" else -1) for fill in trade["fills"])
        position = positions.get(trade_id)
        assert held == (0 if position is None else position["state"]["quantity"])
        assert (position is not None) == (trade["status"] == "open")
        events = told[trade_id]
        # A signal that finds nothing to close is cancelled at once.
        assert "trade.accepted" in events or trade["status"] == "cancelled"
        assert ("trade.opened" in events) == (trade["status"] in ("open", "closed"))
        assert ("trade.closed" in events) == ("position.closed" in events) == (trade["status"] == "closed")
        assert ("trade.cancelled" in events) == (trade["status"] == "cancelled")
    assert positions.keys() <= trades.keys()
    return len(trades)


@pytest.mark.slow
@only_long("minutes")
def test_a_backup_under_load_comes_back_and_nobody_ignores_what_follows(tmp_path: Path) -> None:
    file = tmp_path / "nija.backup"
    with Embedded(tmp_path, options=["--market", "replay", "--speed", "600"]) as platform:
        folder = ["--data-dir", str(platform.data_dir)]
        traders = [Trader(platform) for _ in range(USERS)]
        with load(traders):
            wait_for("there are trades", lambda: len(traders[0].history()) >= 3)
            done = run_nija(["backup", "--to", str(file), *folder], env=platform.env)
        assert done.returncode == 0, done.stderr
        assert "key-encryption.key elsewhere" in done.stdout
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.glob(".*")] == []

        # After the backup: a trade, an account and a socket's view that the restored platform knows nothing of.
        user = traders[0].client
        lost = traders[0].alert("buy") or traders[0].alert("sell")
        wait_for("history has it", lambda: lost in traders[0].history())
        newcomer = ApiClient(platform.url).register()
        running = run_nija(["restore", "--from", str(file), "--force", *folder], env=platform.env)
        assert (running.returncode, running.stdout) == (1, "")
        assert "is in use by another nija process" in running.stderr
        assert platform.process.stop() == 0

        refused = run_nija(["restore", "--from", str(file), *folder], env=platform.env)
        assert refused.returncode == 1 and "--force" in refused.stderr
        done = run_nija(["restore", "--from", str(file), "--force", *folder], env=platform.env)
        assert done.returncode == 0, done.stderr
        assert check_consistent(platform.data_dir / "nija.sqlite3") >= 3
        (aside,) = platform.data_dir.glob("nija.sqlite3.before-restore-*")
        with closing(sqlite3.connect(aside)) as connection:
            rows = connection.execute("SELECT id FROM trading_engine__trades WHERE id = ?", (lost,)).fetchall()
            assert rows == [(lost,)]

        platform.start()
        assert user.get("/config/settings").code == "TOKEN_INVALID"
        assert newcomer.get("/config/settings").code == "TOKEN_INVALID"
        newcomer.close()
        for trader in traders:
            trader.client.login()
        assert lost not in traders[0].history()
        # Each service applies what comes now: settings (state), trades (facts), to the socket as well.
        with user.socket("trades") as socket:
            user.ok("PUT", "/config/settings", {"trading": {"max_position_size_usd": 150}})
            fresh = wait_for("a trade is opened", lambda: traders[0].alert("buy") or traders[0].alert("sell"))
            wait_for("history has it", lambda: fresh in traders[0].history())
            socket.until("trade_executed")
        for trader in traders:
            trader.client.close()
        assert platform.process.stop() == 0
    with closing(sqlite3.connect(platform.data_dir / "nija.sqlite3")) as connection:
        events = [json.loads(row[0]) for row in connection.execute("SELECT value FROM log_records")]
    lives = {event["revision"][0] for event in events if event["seq"] is not None}
    assert len(lives) == 2 and min(lives) == 1 and max(lives) > 200_000_000
    parked = run_nija(["parked", "list", *folder], env=platform.env)
    assert parked.stdout.strip() == "no key is parked"
