"""Files that a service keeps: written once, whole or not at all, read back in pieces, then deleted.

Two adapters: a folder (here) and MongoDB's GridFS (`mongo_blobs.py`); one contract suite. Not for documents, and
nothing here is part of a unit of work: who writes a file notes its name in a document first, so that what a crash
leaves behind is found again and deleted.

Errors: ValueError (a name that is none, or is taken), `NijaError(SERVICE_UNAVAILABLE)` (the store cannot be
reached), `NijaError(DATABASE_ERROR)` (it answered with a failure).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from nija_common.errors import ErrorCode, NijaError

PIECE_BYTES = 128 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_UNFINISHED = ".part"
TAKEN = "a file of that name is there already"


class Blobs(Protocol):
    """One service's files, by name: letters, digits, `.`, `_` and `-`."""

    async def write(self, name: str, pieces: AsyncIterable[bytes]) -> int:
        """Writes the file and answers its bytes. Until this returns nobody can read it; a failure leaves nothing
        that `open` would find."""
        ...

    async def open(self, name: str) -> AsyncIterator[bytes] | None:
        """The file in pieces, or None if there is none of that name."""
        ...

    async def delete(self, name: str) -> None:
        """Removes the file and whatever an interrupted `write` of it has left. Nothing happens if there is none."""
        ...


def checked_name(name: str) -> str:
    """The name, if it is one. Raises ValueError: no name leads out of the folder."""
    if not _NAME.fullmatch(name) or name.endswith(_UNFINISHED):
        raise ValueError("not the name of a file")
    return name


class FolderBlobs:
    """Port `Blobs` on a folder, for its owner only. Files are flushed to the disk before they get their name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def write(self, name: str, pieces: AsyncIterable[bytes]) -> int:
        path, unfinished = self._paths(name)
        file = await asyncio.to_thread(self._create, path, unfinished)
        size = 0
        try:
            async for piece in pieces:
                size += len(piece)
                await asyncio.to_thread(_put, file, piece)
            await asyncio.to_thread(_finish, file, path, unfinished)
        except BaseException:
            file.close()
            unfinished.unlink(missing_ok=True)
            raise
        return size

    async def open(self, name: str) -> AsyncIterator[bytes] | None:
        path, _ = self._paths(name)
        file = await asyncio.to_thread(_opened, path)
        return None if file is None else _pieces(file)

    async def delete(self, name: str) -> None:
        for path in self._paths(name):
            await asyncio.to_thread(_remove, path)

    def _paths(self, name: str) -> tuple[Path, Path]:
        path = self._folder / checked_name(name)
        return path, path.with_name(path.name + _UNFINISHED)

    def _create(self, path: Path, unfinished: Path) -> BinaryIO:
        with _translated():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if path.exists():
                raise ValueError(TAKEN)
            return os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _put(file: BinaryIO, piece: bytes) -> None:
    with _translated():
        file.write(piece)


def _finish(file: BinaryIO, path: Path, unfinished: Path) -> None:
    with _translated(), file:
        file.flush()
        os.fsync(file.fileno())
        unfinished.replace(path)


def _opened(path: Path) -> BinaryIO | None:
    with _translated():
        try:
            return path.open("rb")
        except FileNotFoundError:
            return None


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while piece := await asyncio.to_thread(_take, file):
            yield piece


def _take(file: BinaryIO) -> bytes:
    with _translated():
        return file.read(PIECE_BYTES)


def _remove(path: Path) -> None:
    with _translated():
        path.unlink(missing_ok=True)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NijaError(ErrorCode.DATABASE_ERROR, "The file could not be kept or read.") from error
