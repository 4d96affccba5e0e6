"""What of the embedded log may go: records older than their topic's kind keeps them, and, of state topics, all but
the newest of each key. Never what a registered group has not read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nija_common.bus.sqlite_log import first_since, place
from nija_common.events.topics import HOUR_MS, Kind
from nija_common.storage.sqlite_engine import Transaction

STEP = 500
"""Records a transaction: the writer is never held for long."""

_KEPT_MS = {Kind.FACT: 7 * 24 * HOUR_MS, Kind.WAKE_UP: HOUR_MS, Kind.EPHEMERAL: HOUR_MS}


class LanePolicy(NamedTuple):
    lane: int
    kind: Kind
    compacted_to: int
    end: int
    read_to: int
    """Up to here every registered group has read (the end where there is no group)."""


@dataclass(frozen=True, slots=True)
class Droppable:
    """Primary keys of records, and for a state topic how far it is compacted once they are gone."""

    places: Sequence[int]
    compacted_to: int | None


def lanes_with_policy(connection: sqlite3.Connection) -> list[LanePolicy]:
    """Every lane but those of topics that are kept for ever. A group that has committed nothing has read nothing."""
    rows = connection.execute(
        """SELECT l.lane, t.kind, l.compacted_to, l.next_offset,
                  coalesce((SELECT min(coalesce(o.next_offset, 0)) FROM log_subscriptions s
                            LEFT JOIN log_offsets o ON o.group_name = s.group_name AND o.lane = l.lane
                            WHERE s.topic = l.topic), l.next_offset)
           FROM log_lanes l JOIN log_topics t ON t.topic = l.topic
           WHERE json_extract(t.policy, '$."retention.ms"') IS NOT '-1' ORDER BY l.lane"""
    ).fetchall()
    return [LanePolicy(lane, Kind(kind), compacted_to, end, read_to) for lane, kind, compacted_to, end, read_to in rows]


def droppable(connection: sqlite3.Connection, lane: LanePolicy, now_ms: int) -> Droppable:
    """What may go of one lane now."""
    first = place(lane.lane, 0)
    if lane.kind is Kind.STATE:
        until = min(lane.read_to, lane.end)
        if until <= lane.compacted_to:
            return Droppable((), None)
        rows = connection.execute(
            """SELECT place FROM (
                   SELECT place, row_number() OVER (PARTITION BY key ORDER BY place DESC) AS age
                   FROM log_records WHERE place >= ? AND place < ?)
               WHERE age > 1 AND place < ? ORDER BY place""",
            (first, place(lane.lane + 1, 0), first + until),
        ).fetchall()
        return Droppable([row[0] for row in rows], until)
    until = min(first_since(connection, lane.lane, now_ms - _KEPT_MS[lane.kind]), lane.read_to)
    rows = connection.execute(
        "SELECT place FROM log_records WHERE place >= ? AND place < ? ORDER BY place", (first, first + until)
    ).fetchall()
    return Droppable([row[0] for row in rows], None)


def drop(unit: Transaction, places: Sequence[int]) -> None:
    unit.connection.executemany("DELETE FROM log_records WHERE place = ?", [(each,) for each in places])


def note(unit: Transaction, lane: LanePolicy, found: Droppable) -> None:
    """Remembers how far a state topic is compacted, so that a quiet one costs nothing."""
    unit.connection.execute("UPDATE log_lanes SET compacted_to = ? WHERE lane = ?", (found.compacted_to, lane.lane))
