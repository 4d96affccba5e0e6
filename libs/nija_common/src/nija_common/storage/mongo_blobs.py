"""Files in MongoDB: GridFS, in the service's own database. The name is the file's id, so a name is taken once.

GridFS writes pieces first and the entry that makes them a file last: an interrupted write is never read, and
`delete` removes its pieces all the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, AsyncIterator

import structlog
from gridfs.asynchronous import AsyncGridFSBucket, AsyncGridIn, AsyncGridOut
from gridfs.errors import FileExists, NoFile
from pymongo.asynchronous.database import AsyncDatabase

from nija_common.errors import NijaError
from nija_common.storage.blobs import PIECE_BYTES, TAKEN, checked_name
from nija_common.storage.mongo_errors import translated
from nija_common.storage.mongo_schema import Raw

log = structlog.get_logger(__name__)

BUCKET = "blobs"


class MongoBlobs:
    """Port `Blobs` for one service."""

    def __init__(self, database: AsyncDatabase[Raw]) -> None:
        self._bucket = AsyncGridFSBucket(database, BUCKET)

    async def write(self, name: str, pieces: AsyncIterable[bytes]) -> int:
        if await self.open(name) is not None:
            raise ValueError(TAKEN)
        file = self._bucket.open_upload_stream_with_id(name, name)
        size = 0
        try:
            async for piece in pieces:
                size += len(piece)
                with translated():
                    await file.write(piece)
            with translated():
                await file.close()
        except FileExists:
            # Somebody else writes under this name right now: their pieces are not ours to remove.
            raise ValueError(TAKEN) from None
        except BaseException:
            await self._abandon(file)
            raise
        return size

    async def open(self, name: str) -> AsyncIterator[bytes] | None:
        with translated():
            try:
                file = await self._bucket.open_download_stream(checked_name(name))
            except NoFile:
                return None
        return _pieces(file)

    async def delete(self, name: str) -> None:
        # The driver removes pieces before it says that there was no file.
        with translated(), contextlib.suppress(NoFile):
            await self._bucket.delete(checked_name(name))

    @staticmethod
    async def _abandon(file: AsyncGridIn) -> None:
        try:
            with translated():
                await file.abort()
        except NijaError as error:
            # Nobody reads it without its entry, and whoever noted the name deletes the rest.
            log.warning("pieces_left_behind", reason=error.message)


async def _pieces(file: AsyncGridOut) -> AsyncIterator[bytes]:
    while True:
        with translated():
            piece = await file.read(PIECE_BYTES)
        if not piece:
            return
        yield piece
