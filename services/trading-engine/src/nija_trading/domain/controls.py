"""What stands above single accounts: the global kill switch, the shards' progress, and the replay's clock."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from nija_common.events.trading import KillSwitchSnapshot
from nija_common.values.document import Collection, Document

GLOBAL = "global"
REPLAY = "replay"


class GlobalSwitch(Document):
    """The kill switch of the whole platform. `generation` counts its trips: bots started before one are stopped."""

    collection: ClassVar[Collection] = Collection("switches")

    active: bool = False
    generation: int = 0
    close_positions: bool = False
    notify_users: bool = False
    reason: str = ""
    by: str = ""
    at_ms: int = 0

    def tripped(self, *, reason: str, by: str, close: bool, notify: bool, at_ms: int) -> GlobalSwitch:
        """Active; a repetition changes nothing but that it may add the closing of positions."""
        if self.active:
            return self.model_copy(update={"close_positions": self.close_positions or close})
        return self.model_copy(
            update={
                "active": True,
                "generation": self.generation + 1,
                "close_positions": close,
                "notify_users": notify,
                "reason": reason,
                "by": by,
                "at_ms": at_ms,
            }
        )

    def released(self) -> GlobalSwitch:
        """Not active any more; what it stopped stays stopped."""
        return self.model_copy(update={"active": False, "close_positions": False})

    def present(self) -> KillSwitchSnapshot:
        """The event of its present state, by whom and when it was last tripped."""
        return self.snapshot(by=self.by, at_ms=self.at_ms)

    def snapshot(self, *, by: str, at_ms: int) -> KillSwitchSnapshot:
        """The event of its present state."""
        return KillSwitchSnapshot(
            scope=GLOBAL,
            active=self.active,
            reason=self.reason,
            by=by,
            at_ms=at_ms,
            close_positions=self.close_positions,
            notify_users=self.notify_users,
        )


UNTRIPPED = GlobalSwitch(id=GLOBAL)


class Shard(Document):
    """How far a shard has come. Written once a step, when every bot of it has committed or had nothing to.

    `behind` names bots that could not take part, with the last step that they did commit. `notes` says what is wrong
    with the data of this worker's markets, by broker or `broker/symbol`, for the users of its bots.
    """

    collection: ClassVar[Collection] = Collection("shards")

    epoch: int = 0
    step_ms: int | None = None
    scanned_at_ms: int | None = None
    next_scan_ms: int | None = None
    behind: dict[str, int] = Field(default_factory=dict)
    notes: dict[str, str] = Field(default_factory=dict)


def shard_id(number: int) -> str:
    """The id of a shard's document, and of its lease."""
    return f"shard/{number:02d}"


class MarketClock(Document):
    """The replay's clock: step `anchor_step_ms` came, or comes, at `anchor_wall_ms`; later ones follow at speed."""

    collection: ClassVar[Collection] = Collection("clocks")

    anchor_wall_ms: int
    anchor_step_ms: int
