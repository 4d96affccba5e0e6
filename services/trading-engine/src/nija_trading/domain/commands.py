"""Commands: rows that the API leaves for the worker of the user's shard. Row and effect end in one unit of work."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from nija_common.values.document import Collection, Document, Index
from nija_common.values.shards import shard_of

Kind = Literal["start", "stop", "open", "close", "halt", "check_key"]
SIGNAL_TTL_MS = 60_000


class Command(Document):
    """A command that waits; it is deleted in the commit of its effect.

    - `start`, `stop`: the account says so already; the worker brings the bot to `running`, or sees that it ends.
    - `open`: an alert that opens (`trade_id`, `symbol`, `size`, `price`), until `expires_at_ms`.
    - `close`: closes the position `position_id`, or that in `symbol`; `reason` is the exit's.
    - `check_key`: tries the key of the connection `broker_id`; no matter of the account, so nothing waits behind it.
    - `halt`: cancels waiting entries; with `targets` take-profit orders too; with `close` closes every position.
    """

    collection: ClassVar[Collection] = Collection("commands", (Index("by_shard", ("shard", "at_ms")),))

    shard: int
    user_id: str
    kind: Kind
    at_ms: int
    expires_at_ms: int | None = None
    trade_id: str | None = None
    position_id: str | None = None
    broker_id: str | None = None
    symbol: str | None = None
    size: int | None = None
    price: float | None = None
    reason: str = "manual"
    targets: bool = False
    close: bool = False
    correlation_id: str | None = None
    traceparent: str | None = None


def command(command_id: str, user_id: str, kind: Kind, at_ms: int, **fields: Any) -> Command:
    """A new row for a user's shard."""
    return Command(id=command_id, shard=shard_of(user_id), user_id=user_id, kind=kind, at_ms=at_ms, **fields)
