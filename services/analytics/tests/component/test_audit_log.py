"""The audit log: read over HTTP, and a chain that shows whatever was done to it behind our back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from nija_analytics.domain.audit import AuditRow, chain_of, hash_of
from nija_analytics.handlers.audit import verify
from nija_common.events.deliveries import AuditRecorded
from nija_common.testing import TestPlatform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock

MINUTE = 60_000
DAY = 86_400_000
CHAIN = chain_of("usr_a")


async def get(platform: TestPlatform, query: str = "") -> Any:
    client = platform.client("analytics", platform.token("usr_root", role="admin"))
    answer = await client.get(f"/api/v1/admin/audit-logs{query}")
    return answer.json()["data"] if answer.status_code == 200 else (answer.status_code, answer.json()["error"]["code"])


def row(number: int, user_id: str = "usr_a", **changes: Any) -> AuditRecorded:
    return example_of(AuditRecorded, user_id=user_id, log_id=f"log_{number:03d}", **changes)


async def test_a_row_has_the_references_fields_and_leaves_out_what_is_not_known(platform: TestPlatform) -> None:
    trade = {"symbol": "BTC-USD", "side": "buy", "size_usd": 500.0, "broker": "coinbase", "note": None}
    unknown: dict[str, Any] = {
        "ip_address": None,
        "user_agent": None,
        "event_type": "trade_executed",
        "actor": "trading-engine",
    }
    await platform.given_events(row(1, at_ms=1000), row(2, at_ms=2000, metadata=trade, **unknown), source="auth")
    answer = await get(platform)
    assert answer["logs"] == [
        {
            "log_id": "log_002",
            "event_type": "trade_executed",
            "user_id": "usr_a",
            "actor": "trading-engine",
            "metadata": trade,
            "timestamp": "1970-01-01T00:00:02Z",
        },
        {
            "log_id": "log_001",
            "event_type": "user_login",
            "user_id": "usr_a",
            "actor": "usr_01jk0000000000000000000000",
            "ip_address": "192.0.2.1",
            "user_agent": "curl/8.0",
            "metadata": {"login_method": "email_password", "success": True},
            "timestamp": "1970-01-01T00:00:01Z",
        },
    ]
    assert answer["pagination"] == {
        "page": 1,
        "per_page": 100,
        "total_items": 2,
        "total_pages": 1,
        "has_next": False,
        "has_prev": False,
    }


async def test_filters_combine_and_totals_are_of_what_they_leave(platform: TestPlatform, clock: ManualClock) -> None:
    midnight = clock.now_ms() // DAY * DAY
    rows = [
        row(n, user, event_type=kind, at_ms=midnight + day * DAY)
        for n, (user, kind, day) in enumerate(
            (user, kind, day)
            for user in ("usr_a", "usr_b")
            for kind in ("bot_started", "user_login")
            for day in (0, 1, 2)
        )
    ]
    await platform.given_events(*rows, source="auth")
    first, second = "2026-01-29", "2026-01-30"
    for query, wanted in (
        ("", 12),
        ("?user_id=usr_a", 6),
        ("?event_type=bot_started", 6),
        ("?user_id=usr_b&event_type=bot_started", 3),
        (f"?start_date={second}", 8),
        (f"?end_date={first}", 4),
        (f"?start_date={first}&end_date={first}&user_id=usr_a", 2),
        (f"?start_date={second}T00:00:01Z&event_type=user_login", 2),
        (f"?user_id=usr_a&event_type=user_login&start_date={first}&end_date={second}", 2),
        ("?user_id=usr_nobody", 0),
        ("?event_type=no_such_thing", 0),
    ):
        answer = await get(platform, query)
        assert (query, len(answer["logs"]), answer["pagination"]["total_items"]) == (query, wanted, wanted)
        times = [log["timestamp"] for log in answer["logs"]]
        assert times == sorted(times, reverse=True)


async def test_pages_hold_every_row_once(platform: TestPlatform) -> None:
    await platform.given_events(*(row(n, at_ms=n // 3) for n in range(10)), source="auth")
    pages = [(await get(platform, f"?per_page=4&page={page}"))["logs"] for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [4, 4, 2, 0]
    assert len({log["log_id"] for page in pages for log in page}) == 10


async def test_a_wrong_query_is_a_validation_error(platform: TestPlatform) -> None:
    for query in (
        "page=0",
        "per_page=101",
        "per_page=x",
        "start_date=yesterday",
        "end_date=2026-13-01",
        "start_date=2026-01-30&end_date=2026-01-29",
        "event_type=",
        f"user_id={'u' * 101}",
    ):
        assert (query, await get(platform, f"?{query}")) == (query, (400, "VALIDATION_ERROR"))


async def test_a_batch_of_many_rows_and_repeated_ones_make_whole_chains(platform: TestPlatform) -> None:
    rows = [row(n, f"usr_{n % 7}") for n in range(250)]
    await platform.given_events(*rows, source="auth")
    await platform.given_events(*rows[:50], row(250, "global"), source="billing")
    found = await verify(platform.deps("analytics"))
    assert (found.rows, found.whole) == (251, True)


Tamper = Callable[[sqlite3.Connection], object]


def changed(number: int, name: str, value: Any) -> Tamper:
    """An edit of one field of a row."""

    def tamper(connection: sqlite3.Connection) -> None:
        connection.execute(
            f"UPDATE analytics__audit_log SET body = json_set(body, '$.{name}', json(?)) WHERE f_number = ?",
            (json.dumps(value), number),
        )

    return tamper


def removed(*numbers: int) -> Tamper:
    return lambda connection: [
        connection.execute("DELETE FROM analytics__audit_log WHERE f_number = ?", (n,)) for n in numbers
    ]


def swapped(connection: sqlite3.Connection) -> None:
    for before, after in ((2, 1000), (3, 2), (1000, 3)):
        changed(before, "number", after)(connection)


def added(connection: sqlite3.Connection) -> None:
    """A row behind the newest, well-made but for the head, by somebody who knows the recipe."""
    connection.execute(
        "INSERT INTO analytics__audit_log (id, version, body) SELECT 'log_forged', 1, "
        "json_set(body, '$.id', 'log_forged', '$.number', 6) FROM analytics__audit_log WHERE f_number = 5"
    )


def headless(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM analytics__audit_heads")


def head_back(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE analytics__audit_heads SET body = json_set(body, '$.number', 4)")


def forged(connection: sqlite3.Connection) -> None:
    """A row rewritten together with its own hash, by somebody who knows the recipe."""
    (body,) = connection.execute("SELECT body FROM analytics__audit_log WHERE f_number = 3").fetchone()
    row = AuditRow.model_validate_json(body).model_copy(update={"actor": "nobody"})
    changed(3, "actor", "nobody")(connection)
    changed(3, "hash", hash_of(row))(connection)


TABLES = ("analytics__audit_log", "analytics__audit_heads")
CASES: tuple[tuple[str, Tamper, int, str | None, str], ...] = (
    ("event_type", changed(2, "event_type", "user_logout"), 2, "log_002", "content"),
    ("at_ms", changed(5, "at_ms", 0), 5, "log_005", "content"),
    ("metadata", changed(3, "metadata", {"success": False}), 3, "log_003", "content"),
    ("ip_address", changed(1, "ip_address", None), 1, "log_001", "content"),
    ("hash", changed(4, "hash", "0" * 64), 4, "log_004", "content"),
    ("previous", changed(4, "previous", "0" * 64), 4, "log_004", "content"),
    ("first removed", removed(1), 1, None, "missing"),
    ("middle removed", removed(3), 3, None, "missing"),
    ("last removed", removed(5), 5, None, "missing"),
    ("end cut off", removed(3, 4, 5), 3, None, "up to number 5 are missing"),
    ("all removed", removed(1, 2, 3, 4, 5), 1, None, "up to number 5 are missing"),
    ("swapped", swapped, 2, "log_003", "content"),
    ("added", added, 6, "log_forged", "knows of 5 rows"),
    ("headless", headless, 1, None, "head of the chain is missing"),
    ("head set back", head_back, 4, None, "not the row that the head"),
    ("forged with its hash", forged, 4, "log_004", "does not follow"),
)


def stored(connection: sqlite3.Connection) -> dict[str, list[Any]]:
    return {t: connection.execute(f"SELECT id, version, body FROM {t}").fetchall() for t in TABLES}


def put_back(connection: sqlite3.Connection, rows: dict[str, list[Any]]) -> None:
    for table in TABLES:
        connection.execute(f"DELETE FROM {table}")
        connection.executemany(f"INSERT INTO {table} (id, version, body) VALUES (?, ?, ?)", rows[table])


async def test_whatever_is_done_to_a_chain_shows_at_its_first_row(platform: TestPlatform, tmp_path: Path) -> None:
    await platform.given_events(*(row(n) for n in range(1, 6)), row(9, "usr_b"), source="auth")
    deps = platform.deps("analytics")
    with closing(sqlite3.connect(tmp_path / "nija.sqlite3", timeout=5, isolation_level=None)) as connection:
        for name, tamper, number, log_id, what in CASES:
            before = stored(connection)
            tamper(connection)
            found = (await verify(deps)).faults
            fault = next(fault for fault in found if fault.chain == CHAIN)
            assert (name, fault.number, fault.log_id) == (name, number, log_id)
            assert what in fault.what
            put_back(connection, before)
            assert (await verify(deps)).whole, f"put back after {name}"
        changed(2, "chain", 99)(connection)
        moved = await verify(deps)
        assert (moved.astray, [fault.number for fault in moved.faults]) == (1, [2])
