"""Reads of a handler see what its own unit of work has collected so far.

A consumer handles up to 100 events in one unit of work, so the second event of a user must see what the
first one saved. `get` and `get_many` answer from the unit of work where it holds the document, and in a consumer's
batch from what was read before, by the runner for the whole batch or by an earlier event. A `find` or
`count` over a collection that the unit of work has touched cannot be answered before it is committed: it
raises `SplitBatch`, and the runner commits what came before and begins anew with the event at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

from nija_common.storage.port import Commit, Draw, Lease, Page, Range, Storage, Wanted
from nija_common.storage.unit_of_work import current_unit_of_work
from nija_common.values.document import Document, Scalar

D = TypeVar("D", bound=Document)


class SplitBatch(Exception):
    """The handler searches among documents that its own unit of work has changed."""


class ReadsOwnWrites(Storage):
    """The storage as handlers get it."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def get(self, kind: type[D], document_id: str) -> D | None:
        uow = current_unit_of_work()
        if uow is not None:
            known, document = uow.known(kind.collection.name, document_id)
            if known:
                return cast("D | None", document)
        read = await self._storage.get(kind, document_id)
        if uow is not None:
            uow.found(kind.collection.name, (document_id,), {} if read is None else {document_id: read})
        return read

    async def get_latest(self, kind: type[D], document_id: str) -> D | None:
        return await self._storage.get_latest(kind, document_id)

    async def get_many(self, kind: type[D], document_ids: Sequence[str]) -> dict[str, D]:
        uow = current_unit_of_work()
        if uow is None:
            return await self._storage.get_many(kind, document_ids)
        found: dict[str, D] = {}
        missing = []
        for document_id in document_ids:
            known, document = uow.known(kind.collection.name, document_id)
            if not known:
                missing.append(document_id)
            elif document is not None:
                found[document_id] = cast(D, document)
        if missing:
            read = await self._storage.get_many(kind, missing)
            uow.found(kind.collection.name, missing, read)
            found.update(read)
        return found

    async def versions(self, kind: type[Document], document_ids: Sequence[str]) -> dict[str, int]:
        _split_if_touched(kind)
        return await self._storage.versions(kind, document_ids)

    async def find(
        self,
        kind: type[D],
        index: str,
        equals: Sequence[Scalar] = (),
        within: Range | None = None,
        *,
        limit: int,
        descending: bool = False,
        after: str | None = None,
        skip: int = 0,
    ) -> Page[D]:
        _split_if_touched(kind)
        return await self._storage.find(
            kind, index, equals, within, limit=limit, descending=descending, after=after, skip=skip
        )

    async def scan(self, kind: type[D], *, limit: int, after: str | None = None) -> Page[D]:
        _split_if_touched(kind)
        return await self._storage.scan(kind, limit=limit, after=after)

    async def count(self, kind: type[D], index: str, equals: Sequence[Scalar] = (), within: Range | None = None) -> int:
        _split_if_touched(kind)
        return await self._storage.count(kind, index, equals, within)

    async def now_ms(self) -> int:
        return await self._storage.now_ms()

    async def commit(self, commit: Commit, *, deadline_s: float = 5.0) -> None:
        await self._storage.commit(commit, deadline_s=deadline_s)

    async def progress(self, group: str, topic: str) -> dict[int, int]:
        return await self._storage.progress(group, topic)

    async def last_seqs(self, group: str, topic: str, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        return await self._storage.last_seqs(group, topic, keys)

    async def read_ahead(
        self, group: str, topic: str, keys: Sequence[tuple[str, str]], wanted: Wanted
    ) -> tuple[dict[tuple[str, str], int], dict[type[Document], dict[str, Document]]]:
        return await self._storage.read_ahead(group, topic, keys, wanted)

    async def wait_published(self, commit_id: str, timeout_s: float) -> bool:
        return await self._storage.wait_published(commit_id, timeout_s)

    async def take(self, name: str, holder: str, ttl_ms: int) -> Lease | None:
        return await self._storage.take(name, holder, ttl_ms)

    async def release(self, lease: Lease) -> None:
        await self._storage.release(lease)

    async def leases(self, prefix: str) -> list[Lease]:
        return await self._storage.leases(prefix)

    async def draw(self, counter: str, n: int, limit: int, window_ms: int) -> Draw:
        return await self._storage.draw(counter, n, limit, window_ms)

    async def migrate(self, kinds: Sequence[type[Document]]) -> None:
        await self._storage.migrate(kinds)

    async def differences(self, kinds: Sequence[type[Document]]) -> list[str]:
        return await self._storage.differences(kinds)

    async def unknown(self, kinds: Sequence[type[Document]]) -> list[str]:
        return await self._storage.unknown(kinds)


def _split_if_touched(kind: type[Document]) -> None:
    uow = current_unit_of_work()
    if uow is not None and uow.touches(kind.collection.name):
        raise SplitBatch(kind.collection.name)
