"""A change of key-encryption keys: every sealed document gets its data key wrapped by the key that seals now.

It runs beside the platform: a document at a time, by its version, so whoever changes one meanwhile loses nothing. It
can be broken off and run again at any moment: what is done already is not touched. Secrets on the bus are not wrapped
anew: they open as long as the old key is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nija_common.runtime.manifest import SealedIn
from nija_common.security.sealing import Sealer
from nija_common.storage.port import Storage
from nija_common.storage.unit_of_work import UnitOfWork, Work
from nija_common.values.document import Document

PAGE = 200


@dataclass(frozen=True, slots=True)
class _Place:
    storage: Storage
    sealer: Sealer
    sealed: SealedIn


async def rewrap(sealed: Sequence[SealedIn], storage: Storage, work: Work, sealer: Sealer) -> int:
    """Wraps anew what is under another key than the one that seals now; answers how many documents that were.

    Raises Unsealable for a document whose key is not known any more.
    """
    changed = 0
    for place in (_Place(storage, sealer, one) for one in sealed):
        for document_id in await _waiting(place):
            changed += await work.run(_rewrap_one, place, document_id)
    return changed


async def _waiting(place: _Place) -> list[str]:
    """The documents that are not yet as they should be."""
    if place.sealed.document_id is not None:
        return [place.sealed.document_id]
    found: list[str] = []
    after: str | None = None
    while True:
        page = await place.storage.find(place.sealed.kind, place.sealed.index, limit=PAGE, after=after)
        found += [document.id for document in page.items if _changed(place, document) is not None]
        after = page.after
        if after is None:
            return found


async def _rewrap_one(place: _Place, document_id: str, uow: UnitOfWork) -> bool:
    document = await place.storage.get(place.sealed.kind, document_id)
    changed = None if document is None else _changed(place, document)
    if changed is not None:
        uow.save(changed)
    return changed is not None


def _changed(place: _Place, document: Any) -> Document | None:
    changed = place.sealed.rewrapped(document, place.sealer)
    return None if changed == document else changed
