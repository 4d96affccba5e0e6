"""From registration to a trade that APEX made from real candles, in the API and on the socket."""

from __future__ import annotations

import pytest

from nija_common.testing.client import ApiClient
from nija_common.testing.platforms import Distributed, Embedded, wait_for


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_apex_trades_real_candles_on_paper_and_tells_it(platform: Embedded | Distributed) -> None:
    with ApiClient(platform.url).register() as user:
        assert user.ok("GET", "/trading/status")["status"] == "stopped"
        assert user.get("/account/balance").code == "NO_BROKER_CONFIGURED"
        changed = user.ok("PUT", "/config/settings", {"trading": {"allowed_pairs": ["BTC-USD"], "risk_level": "high"}})
        assert set(changed["updated_fields"]) == {"allowed_pairs", "risk_level"}

        with user.socket("positions", "trades") as socket:
            assert user.ok("POST", "/trading/start", {"broker": "coinbase"})["status"] == "starting"
            opened = socket.until("trade_executed", 120)["data"]
            assert (opened["action"], opened["symbol"], opened["side"]) == ("opened", "BTC-USD", "long")
            update = socket.until("position_update", 30)["data"]
            assert update["symbol"] == "BTC-USD"
            closed = opened
            while closed["action"] != "closed":
                closed = socket.until("trade_executed", 120)["data"]

        trades = wait_for(
            "the closed trade is in the history",
            lambda: [
                t
                for t in user.ok("GET", "/account/history?status=closed")["trades"]
                if t["trade_id"] == closed["trade_id"]
            ],
        )
        (trade,) = trades
        assert trade["exit_reason"] in {
            "take_profit",
            "stop_loss",
            "trailing_stop",
            "opposite_signal",
            "trend_break",
            "max_hold",
        }
        assert trade["entry_price"] > 0
        assert trade["exit_price"] > 0
        assert trade["fees"] > 0
        metrics = wait_for("statistics have it", lambda: _metrics(user, at_least=1))
        assert metrics["net_pnl"] == pytest.approx(metrics["total_pnl"] - metrics["total_fees"], abs=0.011)
        assert user.ok("GET", "/trading/status")["status"] in {"running", "paused"}
        assert user.ok("POST", "/trading/stop", {"close_positions": True})["status"] == "stopped"
        wait_for("no position is left", lambda: not user.ok("GET", "/account/positions")["positions"], every=0.3)
        balance = wait_for("all is cash again", lambda: _all_cash(user), every=0.3)
        assert balance["cash"] == pytest.approx(10_000 + sum(t["realized_pnl"] for t in _closed(user)), abs=0.05)


def _metrics(user: ApiClient, at_least: int) -> dict[str, float]:
    """The statistics once they count that many trades, until then nothing."""
    found: dict[str, float] = user.ok("GET", "/account/performance?period=all")["metrics"]
    return found if found["total_trades"] >= at_least else {}


def _all_cash(user: ApiClient) -> dict[str, float]:
    """The balance once equity and cash are the same, until then nothing."""
    balance: dict[str, float] = user.ok("GET", "/account/balance")
    return balance if balance["equity"] == balance["cash"] else {}


def _closed(user: ApiClient) -> list[dict[str, float]]:
    found: list[dict[str, float]] = user.ok("GET", "/account/history?status=closed&per_page=100")["trades"]
    return found
