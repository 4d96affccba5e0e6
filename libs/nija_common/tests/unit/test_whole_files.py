"""Files that are there whole or not at all, several of them together."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nija_common.storage.whole_files import write_whole


def test_all_are_written_over_what_was_there(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"a longer text that was there before")
    write_whole({a: b"new", b: b"other"})
    assert (a.read_bytes(), b.read_bytes()) == (b"new", b"other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_where_one_cannot_be_written_none_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"old")
    with pytest.raises(FileNotFoundError):
        write_whole({a: b"new", tmp_path / "none" / "b": b"other"})
    synced: list[int] = []

    def full(number: int) -> None:
        synced.append(number)
        if len(synced) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole({a: b"new", b: b"other"})
    assert a.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
