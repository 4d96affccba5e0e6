"""Parsed files by content: parsed once, never wrong, whatever has happened to the cache."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nija_trading.adapters import candle_cache, candle_files
from nija_trading.adapters.candle_cache import CandleCache
from nija_trading.adapters.candle_files import CandleFileError, load_file
from nija_trading.adapters.candle_text import HEADER, Parsed, parse

TEXT = HEADER + "\n" + "".join(f"{i * 3_600_000},1,2,0.5,1.5,{i}\n" for i in range(50))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How long each text was that was parsed."""
    found: list[int] = []

    def counted(data: bytes, timeframe_ms: int) -> Parsed:
        found.append(len(data))
        return parse(data, timeframe_ms)

    monkeypatch.setattr(candle_files, "parse", counted)
    return found


def written(folder: Path, text: str = TEXT) -> Path:
    path = folder / "BTC-USD_1h.csv"
    path.write_text(text)
    return path


def test_the_same_content_is_parsed_once_and_other_content_anew(tmp_path: Path, parsed: list[int]) -> None:
    cache, path = CandleCache(tmp_path / "cache"), written(tmp_path)
    first = load_file(path, "1h", cache)
    assert list(load_file(path, "1h", cache)) == list(first)
    assert len(parsed) == 1
    assert len(load_file(written(tmp_path, TEXT.replace("1.5,7", "1.5,8")), "1h", cache)) == 50
    load_file(path, "30m", cache)
    assert len(parsed) == 3


@pytest.mark.parametrize("harm", ["cut", "bit", "emptied", "folder"])
def test_a_damaged_entry_is_parsed_again(tmp_path: Path, parsed: list[int], harm: str) -> None:
    cache, path = CandleCache(tmp_path / "cache"), written(tmp_path)
    expected = list(load_file(path, "1h", cache))
    (entry,) = (tmp_path / "cache").iterdir()
    stored = bytearray(entry.read_bytes())
    if harm == "folder":
        entry.unlink()
        entry.mkdir()
    else:
        stored[300] ^= 1
        entry.write_bytes({"cut": bytes(stored[:-8]), "bit": bytes(stored), "emptied": b""}[harm])
    assert list(load_file(path, "1h", cache)) == expected
    assert len(parsed) == 2


def test_a_file_that_is_refused_is_refused_again(tmp_path: Path) -> None:
    cache, path = CandleCache(tmp_path / "cache"), written(tmp_path, TEXT + "0,1,2,0.5,1.5,1\n")
    for _ in range(2):
        with pytest.raises(CandleFileError, match=":52: time goes backwards"):
            load_file(path, "1h", cache)
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    assert len(load_file(written(tmp_path), "1h", CandleCache(tmp_path / "cache"))) == 50


def test_many_at_once_all_read_the_same(tmp_path: Path) -> None:
    cache, path, found = CandleCache(tmp_path / "cache"), written(tmp_path), list[int]()
    threads = [threading.Thread(target=lambda: found.append(len(load_file(path, "1h", cache)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [50] * 8
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_oldest_entries_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candle_cache, "KEPT", 3)
    cache = CandleCache(tmp_path / "cache")
    for n in range(6):
        load_file(written(tmp_path, TEXT.replace("1.5,7", f"1.5,{n}.5")), "1h", cache)
    assert len(list((tmp_path / "cache").iterdir())) == 3
