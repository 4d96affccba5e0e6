"""The blobs port: what every adapter promises about files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nija_common.storage.blobs import PIECE_BYTES, Blobs, FolderBlobs
from nija_common.storage.mongo import MongoServer


@pytest.fixture(params=["folder", pytest.param("mongo", marks=pytest.mark.mongo)])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    if request.param == "folder":
        yield FolderBlobs(tmp_path / "files")
        return
    url, namespace = request.getfixturevalue("mongo_url"), request.getfixturevalue("namespace")
    async with MongoServer.open(url, namespace=namespace) as server:
        yield server.blobs("analytics")


async def pieces(*texts: bytes) -> AsyncIterator[bytes]:
    for text in texts:
        yield text


async def content(blobs: Blobs, name: str) -> bytes | None:
    opened = await blobs.open(name)
    return None if opened is None else b"".join([piece async for piece in opened])


async def test_a_file_is_read_as_it_was_written_and_its_size_is_exact(blobs: Blobs) -> None:
    assert await blobs.write("a.csv", pieces(b"one,", b"", b"two\n")) == 8
    assert await content(blobs, "a.csv") == b"one,two\n"
    assert await blobs.write("empty.csv", pieces()) == 0
    assert await content(blobs, "empty.csv") == b""


async def test_a_large_file_comes_in_pieces(blobs: Blobs) -> None:
    whole = bytes(range(256)) * 3_000
    assert await blobs.write("large", pieces(whole[:300_000], whole[300_000:])) == len(whole)
    opened = await blobs.open("large")
    assert opened is not None
    found = [piece async for piece in opened]
    assert b"".join(found) == whole
    assert max(map(len, found)) <= PIECE_BYTES < len(whole)


async def test_there_is_nothing_before_a_write_and_after_a_delete(blobs: Blobs) -> None:
    assert await content(blobs, "a") is None
    await blobs.write("a", pieces(b"x"))
    await blobs.delete("a")
    assert await content(blobs, "a") is None
    await blobs.delete("a")


async def test_a_write_that_fails_leaves_no_file_and_its_name_free(blobs: Blobs) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"x" * 400_000
        raise RuntimeError("the source failed")

    with pytest.raises(RuntimeError):
        await blobs.write("a", failing())
    assert await content(blobs, "a") is None
    await blobs.delete("a")
    assert await blobs.write("a", pieces(b"again")) == 5


async def test_nobody_reads_a_file_before_it_is_whole(blobs: Blobs) -> None:
    async def watched() -> AsyncIterator[bytes]:
        yield b"x" * 400_000
        assert await content(blobs, "a") is None
        yield b"y"

    assert await blobs.write("a", watched()) == 400_001
    assert len(await content(blobs, "a") or b"") == 400_001


async def test_a_taken_name_is_refused_and_its_file_stays(blobs: Blobs) -> None:
    await blobs.write("a", pieces(b"first"))
    with pytest.raises(ValueError):
        await blobs.write("a", pieces(b"second"))
    assert await content(blobs, "a") == b"first"


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".hidden", "a\x00", "a.part", "x" * 201])
async def test_a_name_that_leads_elsewhere_is_none(blobs: Blobs, name: str) -> None:
    with pytest.raises(ValueError):
        await blobs.write(name, pieces(b"x"))
    with pytest.raises(ValueError):
        await blobs.open(name)


async def test_services_have_files_of_their_own(tmp_path: Path) -> None:
    one, other = FolderBlobs(tmp_path / "one"), FolderBlobs(tmp_path / "other")
    await one.write("a", pieces(b"x"))
    assert await content(other, "a") is None
    assert (tmp_path / "one" / "a").stat().st_mode & 0o077 == 0
