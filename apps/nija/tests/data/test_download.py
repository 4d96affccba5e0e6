"""`nija data download` through ccxt from a real HTTP server that answers as the exchanges do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ccxt  # type: ignore[import-untyped]
import pytest
from typer.testing import Result

from nija_cli.data.download import Order, download
from nija_cli.data.partial import Partial
from nija_cli.endings import Failed, WrongUsage
from nija_common.testing.exchange import Candle, Exchange, Fault, FaultKind, Market, RunningExchange, run_exchange
from nija_common.values.clock import ManualClock
from nija_trading.adapters.candle_files import load_file
from nija_trading.domain.market.candles import timeframe_ms

Nija = Callable[..., Result]
START_S = 1_700_006_400
HOURS = 700
MISSING = {100, 101, 102, 350}


@pytest.fixture
def running() -> Iterator[RunningExchange]:
    """700 hours of BTC-USD, four of them missing."""
    exchange = Exchange()
    exchange.add_market(Market("BTC-USD"))
    exchange.add_candles("BTC-USD", 3600, [_candle(hour) for hour in range(HOURS) if hour not in MISSING])
    with run_exchange(exchange) as started:
        yield started


@pytest.fixture(autouse=True)
def throttled(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The turns that ccxt was asked for, at no wait."""
    turns: list[float] = []
    monkeypatch.setattr(ccxt.Exchange, "throttle", lambda self, cost=1: turns.append(cost))
    return turns


def _candle(hour: int) -> Candle:
    price = 30_000 + hour % 37
    return Candle(START_S + hour * 3600, f"{price}", f"{price + 2}.5", f"{price - 2}", f"{price + 1}", f"{hour % 5}.25")


def order(running: RunningExchange, folder: Path, exchange: str = "coinbase", **more: Any) -> Order:
    values: dict[str, Any] = {
        "exchange": exchange,
        "symbols": ("BTC-USD",),
        "timeframe": "1h",
        "from_ms": START_S * 1000,
        "to_ms": (START_S + HOURS * 3600) * 1000,
        "folder": folder,
        "base_url": running.base_url,
        "retry_ms": 1,
    }
    return Order(**(values | more))


def hours_in(path: Path) -> list[int]:
    return [(ms // 1000 - START_S) // 3600 for ms in load_file(path, "1h").time_ms.tolist()]


ALL = [hour for hour in range(HOURS) if hour not in MISSING]


def test_pages_become_a_file_that_a_backtest_takes(
    nija: Nija, running: RunningExchange, own_folder: Path, throttled: list[float]
) -> None:
    args = ("--exchange", "coinbase", "--symbol", "BTC-USD", "--from", "2023-11-15", "--to", "2023-12-14T04:00")
    result = nija("data", "download", *args, "--base-url", running.base_url)
    assert result.exit_code == 0, result.stderr
    path = own_folder / ".nija/candles/BTC-USD_1h.csv.gz"
    assert hours_in(path) == ALL
    assert load_file(path, "1h")[7] == (START_S * 1000 + 7 * 3_600_000, 30_007.0, 30_009.5, 30_005.0, 30_008.0, 2.25)
    assert "696 candles, 2023-11-15T00:00:00Z to 2023-12-14T03:00:00Z, 2 gaps" in result.stdout
    assert "2023-11-19T04:00:00Z to 2023-11-19T07:00:00Z (3 candles)" in result.stdout
    pages = running.exchange.calls_to("/candles")
    assert len(pages) == 3
    assert len(throttled) == len(running.exchange.calls)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    backtest = nija("backtest", "--symbol", "BTC-USD", "--strategy", "ema_cross")
    assert (backtest.exit_code, "696" in backtest.stdout) == (0, True)


def test_kraken_tells_only_its_latest_and_that_is_said(
    running: RunningExchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = range(HOURS, HOURS + 400)
    running.exchange.add_candles("BTC-USD", 3600, [_candle(hour) for hour in more])
    download(order(running, tmp_path, "kraken", to_ms=(START_S + 1_100 * 3600) * 1000))
    assert hours_in(tmp_path / "BTC-USD_1h.csv.gz") == list(range(380, 1_100))
    assert "the exchange told of nothing before 2023-11-30T20:00:00Z" in capsys.readouterr().out


@pytest.mark.parametrize("fault", [Fault(FaultKind.DROP), Fault(FaultKind.STATUS, 503), Fault(FaultKind.STATUS, 429)])
def test_calls_without_an_answer_are_repeated(running: RunningExchange, tmp_path: Path, fault: Fault) -> None:
    running.exchange.will_fail("/candles", fault, fault)
    download(order(running, tmp_path))
    assert hours_in(tmp_path / "BTC-USD_1h.csv.gz") == ALL


def test_garbage_is_no_gap(running: RunningExchange, tmp_path: Path) -> None:
    running.exchange.will_fail("/candles", always=Fault(FaultKind.GARBAGE))
    with pytest.raises(Failed, match="no list of candles"):
        download(order(running, tmp_path))
    assert not (tmp_path / "BTC-USD_1h.csv.gz").exists()


def test_what_was_fetched_is_kept_and_not_asked_for_again(running: RunningExchange, tmp_path: Path) -> None:
    """The second page never comes; the file is cut as a kill cuts it; another try goes on at the row behind it."""
    with pytest.raises(Failed, match="298 candles are kept: the same command goes on"):
        stopped = order(running, tmp_path)
        _fail_after(running, 1)
        download(stopped)
    (part,) = tmp_path.iterdir()
    assert part.name == ".BTC-USD_1h.coinbase.part"
    part.write_bytes(part.read_bytes()[:-9])
    running.exchange.heal()
    before = len(running.exchange.calls_to("/candles"))
    download(order(running, tmp_path))
    asked = running.exchange.calls_to("/candles")[before:]
    assert f"start={START_S + ALL[297] * 3600}" in asked[0].query
    assert hours_in(tmp_path / "BTC-USD_1h.csv.gz") == ALL


def test_ctrl_c_keeps_what_there_is(running: RunningExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added = Partial.add

    def add(self: Partial, candles: list[Candle]) -> None:
        added(self, candles)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(Partial, "add", add)
    with pytest.raises(Failed, match=r"stopped\. 298 candles are kept"):
        download(order(running, tmp_path))
    monkeypatch.undo()
    monkeypatch.setattr(ccxt.Exchange, "throttle", lambda self, cost=1: None)
    download(order(running, tmp_path))
    assert hours_in(tmp_path / "BTC-USD_1h.csv.gz") == ALL


def test_a_file_goes_on_at_both_ends(running: RunningExchange, tmp_path: Path) -> None:
    middle: dict[str, Any] = {"from_ms": (START_S + 200 * 3600) * 1000, "to_ms": (START_S + 400 * 3600) * 1000}
    download(order(running, tmp_path, **middle))
    path = tmp_path / "BTC-USD_1h.csv.gz"
    assert hours_in(path) == [hour for hour in ALL if 200 <= hour < 400]
    download(order(running, tmp_path, from_ms=None))
    assert hours_in(path) == [hour for hour in ALL if hour >= 200]
    download(order(running, tmp_path))
    assert hours_in(path) == ALL


def test_the_candle_that_is_being_made_is_left_out(running: RunningExchange, tmp_path: Path) -> None:
    clock = ManualClock((START_S + 650 * 3600 + 1800) * 1000)
    download(order(running, tmp_path, to_ms=None), clock)
    assert hours_in(tmp_path / "BTC-USD_1h.csv.gz")[-1] == 649


def test_rows_that_cannot_be_right_are_left_out_and_counted(
    running: RunningExchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [
        Candle(START_S + 5 * 3600, "10", "9", "11", "10", "1"),
        Candle(START_S + 6 * 3600, "0", "0", "0", "0", "0"),
    ]
    running.exchange.add_candles("BTC-USD", 3600, wrong)
    download(order(running, tmp_path))
    assert hours_in(tmp_path / "BTC-USD_1h.csv.gz") == [hour for hour in ALL if hour not in (5, 6)]
    assert "2 rows that cannot be right were left out" in capsys.readouterr().out


def test_parquet_holds_the_same(running: RunningExchange, tmp_path: Path) -> None:
    download(order(running, tmp_path / "csv"))
    download(order(running, tmp_path / "parquet", parquet=True))
    (path,) = (tmp_path / "parquet").iterdir()
    assert path.name == "BTC-USD_1h.parquet"
    assert list(load_file(path, "1h")) == list(load_file(tmp_path / "csv/BTC-USD_1h.csv.gz", "1h"))
    with pytest.raises(WrongUsage, match="has these candles already"):
        download(order(running, tmp_path / "parquet"))


def test_two_downloads_of_the_same_do_not_mix(running: RunningExchange, tmp_path: Path) -> None:
    holder = Partial(tmp_path / ".BTC-USD_1h.coinbase.part", timeframe_ms("1h"))
    found: list[BaseException] = []

    def second() -> None:
        try:
            download(order(running, tmp_path))
        except Failed as error:
            found.append(error)

    thread = threading.Thread(target=second)
    thread.start()
    thread.join()
    holder.close()
    assert "another download of these candles is going on" in str(found[0])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"exchange": "nowhere"}, "ccxt knows no such exchange"),
        ({"timeframe": "7m"}, "coinbase has 1m, 5m"),
        ({"timeframe": "1x"}, "is not a timeframe"),
        ({"symbols": ("XYZ-USD",)}, "coinbase has no such market"),
        ({"symbols": ("../x-USD",)}, "write base and quote currency"),
        ({"from_ms": None}, "--from is needed"),
    ],
)
def test_wrong_usage_is_said(running: RunningExchange, tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(WrongUsage, match=said):
        download(order(running, tmp_path, **changed))


def _fail_after(running: RunningExchange, good: int) -> None:
    """The first calls are answered, none of the others is."""
    passed = [Fault(FaultKind.DELAY)] * good
    running.exchange.will_fail("/candles", *passed, always=Fault(FaultKind.DROP))
