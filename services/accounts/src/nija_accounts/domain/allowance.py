"""What billing says of a user's tier, as this service keeps it: a read model, moved by revision."""

from __future__ import annotations

from typing import ClassVar

from nija_common.values.document import Collection, Document
from nija_common.values.tiers import EffectiveTier


class Allowance(Document):
    """The stretches of time with the tier in force, and the revision of the snapshot they came from. Id: the user's."""

    collection: ClassVar[Collection] = Collection("allowances")

    revision: tuple[int, int]
    effective: tuple[EffectiveTier, ...]
