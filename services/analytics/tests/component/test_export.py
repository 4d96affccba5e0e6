"""Exports over HTTP: the file, its link, and what becomes of both."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from nija_analytics.domain.exports import Wanted
from nija_analytics.handlers import exports
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.trading import (
    BalanceRead,
    BotStatusChanged,
    PositionClosed,
    PositionOpened,
    TradeClosed,
    TradeOpened,
    TradeReduced,
)
from nija_common.storage.blobs import FolderBlobs
from nija_common.testing import TestPlatform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock

DAY = 86_400_000
PATH = "/api/v1/analytics/export"
JANUARY = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""


async def export(platform: TestPlatform, body: Any = None, *, user: str = "usr_a", query: str = "") -> httpx.Response:
    wanted = {"data_type": "trades", "format": "csv", **(body or {})}
    client = platform.client("analytics", platform.token(user))
    return await client.post(f"{PATH}{query}", json=wanted, headers={"user-agent": "a spreadsheet"})


async def download(platform: TestPlatform, url: str) -> httpx.Response:
    parts = urlsplit(url)
    return await platform.client("analytics").get(f"{parts.path}?{parts.query}")


async def rows(platform: TestPlatform, body: Any = None, **more: Any) -> list[dict[str, str]]:
    answer = await export(platform, body, **more)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    file = await download(platform, data["download_url"])
    assert file.status_code == 200, file.text
    assert len(file.content) == data["file_size_bytes"]
    return list(csv.DictReader(io.StringIO(file.text, newline="")))


def trade(number: int, at_ms: int, **changes: Any) -> tuple[TradeOpened, PositionOpened]:
    fields = {"user_id": "usr_a", "trade_id": f"trd_{number}", "position_id": f"pos_{number}", **changes}
    return (
        example_of(TradeOpened, **fields, at_ms=at_ms),
        example_of(PositionOpened, **fields, at_ms=at_ms, opened_at_ms=at_ms),
    )


def ended(number: int, at_ms: int, **changes: Any) -> tuple[TradeClosed, PositionClosed]:
    fields = {"user_id": "usr_a", "trade_id": f"trd_{number}", "position_id": f"pos_{number}"}
    position = {name: value for name, value in changes.items() if name in ("paper", "user_id")}
    return (
        example_of(TradeClosed, **{**fields, "opened_at_ms": at_ms - 3_600_000, "closed_at_ms": at_ms, **changes}),
        example_of(PositionClosed, **{**fields, "at_ms": at_ms, **position}),
    )


async def given(platform: TestPlatform, *groups: Any) -> None:
    await platform.given_events(*(event for group in groups for event in group), source="trading-engine")


async def test_a_csv_of_trades_holds_what_the_history_tells(platform: TestPlatform) -> None:
    opening, position = trade(1, JANUARY)
    reduced = example_of(
        TradeReduced, user_id="usr_a", trade_id="trd_2", position_id="pos_2", realized_pnl="1.25", fees="0.10"
    )
    await given(
        platform,
        (opening, position),
        ended(1, JANUARY + 3_600_000, opened_at_ms=JANUARY, realized_pnl="46.72", fees="3.28", realized_pnl_pct=9.34),
        trade(2, JANUARY + DAY),
        (reduced,),
    )
    first, second = await rows(platform)
    assert first == {
        "trade_id": "trd_1",
        "symbol": "BTC-USD",
        "side": "long",
        "status": "closed",
        "entry_price": "43210.5",
        "exit_price": "43650.0",
        "size_usd": "499.95",
        "quantity": "0.01157",
        "realized_pnl": "46.72",
        "realized_pnl_pct": "9.34",
        "fees": "3.28",
        "opened_at": "2026-01-01T00:00:00Z",
        "closed_at": "2026-01-01T01:00:00Z",
        "duration_minutes": "60",
        "exit_reason": "trailing_stop",
        "broker": "coinbase",
        "source": "strategy",
        "mode": "paper",
    }
    assert (second["trade_id"], second["status"], second["exit_price"], second["closed_at"]) == (
        "trd_2",
        "open",
        "",
        "",
    )
    assert (second["realized_pnl"], second["fees"]) == ("1.25", "3.1")


async def test_json_has_the_same_rows_with_numbers_and_nulls(platform: TestPlatform) -> None:
    await given(platform, trade(1, JANUARY), trade(2, JANUARY), ended(2, JANUARY + DAY, realized_pnl="-1.5"))
    data = (await export(platform, {"format": "json"})).json()["data"]
    file = await download(platform, data["download_url"])
    assert file.headers["content-type"] == "application/json"
    first, second = json.loads(file.content)
    assert (first["entry_price"], first["exit_price"], first["realized_pnl"]) == (43210.5, None, None)
    assert (second["realized_pnl"], second["status"]) == (-1.5, "closed")
    empty = (await export(platform, {"format": "json"}, user="usr_b")).json()["data"]
    assert json.loads((await download(platform, empty["download_url"])).content) == []


async def test_positions_are_exported_as_they_are_and_as_they_ended(platform: TestPlatform) -> None:
    await given(platform, trade(1, JANUARY), trade(2, JANUARY + 1), ended(2, JANUARY + DAY, realized_pnl="7"))
    first, second = await rows(platform, {"data_type": "positions"})
    assert (first["position_id"], first["status"], first["stop_loss"], first["realized_pnl"]) == (
        "pos_1",
        "open",
        "42800.0",
        "",
    )
    assert (second["position_id"], second["status"], second["exit_price"], second["realized_pnl"]) == (
        "pos_2",
        "closed",
        "43650.0",
        "7.0",
    )
    assert second["closed_at"] == "2026-01-02T00:00:00Z"


async def test_performance_is_a_row_a_day_with_its_equity(platform: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    await given(
        platform,
        (example_of(BalanceRead, user_id="usr_a", cash="1000", initial=True, at_ms=now - 3 * DAY),),
        ended(1, now - 2 * DAY, realized_pnl="10", fees="1"),
        ended(2, now, realized_pnl="-4", fees="1"),
    )
    found = await rows(platform, {"data_type": "performance"})
    assert [(r["date"], r["trades"], r["pnl"], r["equity"]) for r in found] == [
        ("2026-01-26", "0", "0.0", "1000.0"),
        ("2026-01-27", "1", "10.0", "1010.0"),
        ("2026-01-28", "0", "0.0", "1010.0"),
        ("2026-01-29", "1", "-4.0", "1006.0"),
    ]
    some = await rows(platform, {"data_type": "performance", "start_date": "2026-01-27", "end_date": "2026-01-28"})
    assert [(r["date"], r["equity"]) for r in some] == [("2026-01-27", "1010.0"), ("2026-01-28", "1010.0")]


@pytest.mark.parametrize(
    ("span", "found"),
    [
        ({}, {"trd_1", "trd_2", "trd_3"}),
        ({"start_date": "2026-01-02"}, {"trd_2", "trd_3"}),
        ({"end_date": "2026-01-02"}, {"trd_1", "trd_2"}),
        ({"start_date": "2026-01-02", "end_date": "2026-01-02"}, {"trd_2"}),
        ({"start_date": "2026-01-02T23:59:59", "end_date": "2026-01-03T00:00:00Z"}, {"trd_2", "trd_3"}),
        ({"start_date": "2026-01-03T01:00:00+01:00"}, {"trd_3"}),
        ({"start_date": "2027-01-01"}, set()),
    ],
)
async def test_dates_are_utc_and_an_end_date_includes_its_day(
    platform: TestPlatform, span: Any, found: set[str]
) -> None:
    await given(platform, trade(1, JANUARY), trade(2, JANUARY + 2 * DAY - 1000), trade(3, JANUARY + 2 * DAY))
    assert {row["trade_id"] for row in await rows(platform, span)} == found


@pytest.mark.parametrize(
    ("include", "found"),
    [
        ({"include_open_positions": False}, ["trd_2"]),
        ({"include_closed_positions": False}, ["trd_1"]),
        ({}, ["trd_1", "trd_2"]),
    ],
)
async def test_open_and_closed_ones_are_chosen_by_the_body(
    platform: TestPlatform, include: Any, found: list[str]
) -> None:
    await given(platform, trade(1, JANUARY), trade(2, JANUARY + 1), ended(2, JANUARY + DAY))
    for data_type in ("trades", "positions"):
        exported = await rows(platform, {"data_type": data_type, **include})
        assert [row["trade_id"] for row in exported] == found


async def test_a_long_history_is_exported_whole_and_in_order(platform: TestPlatform) -> None:
    """More than two pages of the store."""
    await given(platform, *(trade(n, JANUARY + n)[:1] for n in range(1_100)))
    for form in ("csv", "json"):
        data = (await export(platform, {"format": form})).json()["data"]
        text = (await download(platform, data["download_url"])).text
        found = json.loads(text) if form == "json" else list(csv.DictReader(io.StringIO(text, newline="")))
        assert [row["trade_id"] for row in found] == [f"trd_{n}" for n in range(1_100)]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
async def test_no_cell_of_text_is_a_formula_and_numbers_stay_numbers(platform: TestPlatform, text: str) -> None:
    await given(platform, trade(1, JANUARY, broker=text), ended(1, JANUARY + DAY, broker=text, realized_pnl="-5.5"))
    (row,) = await rows(platform)
    assert (row["broker"], row["realized_pnl"]) == (f"'{text}", "-5.5")
    data = (await export(platform, {"format": "json"})).json()["data"]
    assert json.loads((await download(platform, data["download_url"])).content)[0]["broker"] == text


async def test_the_file_comes_as_an_attachment_that_nobody_caches(platform: TestPlatform) -> None:
    body = {"start_date": "2026-01-01", "end_date": "2026-01-31"}
    data = (await export(platform, body)).json()["data"]
    url = urlsplit(data["download_url"])
    assert f"{url.scheme}://{url.netloc}" == "http://127.0.0.1:8000"
    name = url.path.removeprefix("/exports/")
    assert name.startswith("trades_2026-01-01_2026-01-31_exp_")
    file = await download(platform, data["download_url"])
    assert file.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["content-length"] == str(data["file_size_bytes"])
    assert file.headers["cache-control"] == "private, no-store"


async def test_the_link_ends_after_an_hour_and_the_file_soon_after(
    platform: TestPlatform, clock: ManualClock, tmp_path: Path
) -> None:
    data = (await export(platform)).json()["data"]
    assert data["expires_at"] == "2026-01-29T11:42:00Z"
    clock.advance(3599)
    assert (await download(platform, data["download_url"])).status_code == 200
    clock.advance(1)
    late = await download(platform, data["download_url"])
    assert (late.status_code, late.json()["error"]["code"]) == (403, "UNAUTHORIZED")
    await platform.run_loop("analytics", "delete-exports")
    assert len(list((tmp_path / "files" / "analytics").iterdir())) == 1
    clock.advance(601)
    await platform.run_loop("analytics", "delete-exports")
    assert list((tmp_path / "files" / "analytics").iterdir()) == []


async def test_a_link_that_is_not_ours_opens_nothing(platform: TestPlatform) -> None:
    data = (await export(platform)).json()["data"]
    url = urlsplit(data["download_url"])
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    other = urlsplit((await export(platform, user="usr_b")).json()["data"]["download_url"])
    forged = [
        url.path,
        f"{url.path}?expires={query['expires']}",
        f"{url.path}?signature={query['signature']}",
        f"{url.path}?expires={int(query['expires']) + 60}&signature={query['signature']}",
        f"{url.path}?expires={query['expires']}&signature={'0' * 64}",
        f"{url.path}?expires={query['expires']}&signature=%C3%A4",
        f"{url.path}?expires=soon&signature={query['signature']}",
        f"{other.path}?{url.query}",
        f"/exports/nothing.csv?{url.query}",
    ]
    for target in forged:
        answer = await platform.client("analytics").get(target)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "UNAUTHORIZED"), target
        assert answer.json()["success"] is False


async def test_get_exports_by_id__not_found(platform: TestPlatform) -> None:
    """The link is ours, the file is gone."""
    url = (await export(platform)).json()["data"]["download_url"]
    await platform.deps("analytics").blobs.delete(urlsplit(url).path.removeprefix("/exports/"))
    answer = await download(platform, url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_an_export_holds_nothing_of_another_user_or_ledger(platform: TestPlatform) -> None:
    await given(platform, trade(1, JANUARY), trade(2, JANUARY, paper=False), trade(3, JANUARY, user_id="usr_b"))
    assert [row["trade_id"] for row in await rows(platform)] == ["trd_1"]
    assert [row["trade_id"] for row in await rows(platform, query="?mode=live")] == ["trd_2"]
    assert [row["trade_id"] for row in await rows(platform, user="usr_b")] == ["trd_3"]
    await given(platform, (example_of(BotStatusChanged, user_id="usr_a", paper=False),))
    assert [row["mode"] for row in await rows(platform)] == ["live"]


async def test_each_export_is_audited_and_the_log_holds_no_signature(platform: TestPlatform) -> None:
    url = (await export(platform, {"format": "json"})).json()["data"]["download_url"]
    (event,) = await platform.emitted(AuditRecorded)
    assert (event.user_id, event.actor, event.event_type) == ("usr_a", "usr_a", "data_exported")
    assert event.user_agent == "a spreadsheet"
    assert event.metadata == {
        "export": urlsplit(url).path.removeprefix("/exports/"),
        "data_type": "trades",
        "format": "json",
        "size_bytes": 4,
    }


async def test_the_same_key_gives_the_same_file_and_makes_no_second_one(platform: TestPlatform, tmp_path: Path) -> None:
    client = platform.client("analytics", platform.token("usr_a"))
    for body, status in (("trades", 200), ("trades", 200), ("positions", 409)):
        answer = await client.post(PATH, json={"data_type": body}, headers={"Idempotency-Key": "once"})
        assert answer.status_code == status
    assert len(list((tmp_path / "files" / "analytics").iterdir())) == 1
    assert len(await platform.emitted(AuditRecorded)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"data_type": "secrets"},
        {"data_type": None},
        {"format": "xlsx"},
        {"start_date": "yesterday"},
        {"start_date": "2026-02-01", "end_date": "2026-01-01"},
        {"include_open_positions": "perhaps"},
        {"include_open_positions": False, "include_closed_positions": False},
        {"symbol": "BTC-USD"},
    ],
)
async def test_a_wrong_body_is_a_validation_error(platform: TestPlatform, body: Any) -> None:
    answer = await export(platform, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert answer.json()["error"]["details"]
    assert await platform.emitted(AuditRecorded) == []


async def test_a_wrong_mode_is_a_validation_error_and_a_token_is_needed(platform: TestPlatform) -> None:
    assert (await export(platform, query="?mode=both")).json()["error"]["code"] == "VALIDATION_ERROR"
    answer = await platform.client("analytics").post(PATH, json={"data_type": "trades"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "TOKEN_INVALID")


async def test_a_user_has_only_so_many_exports_at_once(
    platform: TestPlatform, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MOST_ALIVE", 2)
    assert [(await export(platform)).status_code for _ in range(3)] == [200, 200, 429]
    assert (await export(platform, user="usr_b")).status_code == 200
    clock.advance(3_600)
    assert (await export(platform)).status_code == 200


async def test_what_a_crash_while_writing_leaves_is_deleted(
    platform: TestPlatform, clock: ManualClock, tmp_path: Path
) -> None:
    """The note is committed, half of a file is there, and nobody comes back."""
    deps = platform.deps("analytics")
    command = exports.MakeExport("usr_a", None, Wanted("trades", "csv", None, None, True, True), None, None)
    noted = await deps.work.run(exports._note, deps, command)
    folder = tmp_path / "files" / "analytics"
    folder.mkdir(parents=True)
    (folder / f"{noted.id}.part").write_bytes(b"trade_id,")
    assert await FolderBlobs(folder).open(noted.id) is None
    link = deps.links.of(noted.id, noted.expires_at_ms)
    assert (await download(platform, link)).status_code == 404
    clock.advance(4_300)
    await platform.run_loop("analytics", "delete-exports")
    assert list(folder.iterdir()) == []
    assert await deps.exports.get(noted.id) is None


async def test_the_answer_has_the_references_fields(platform: TestPlatform, shared_folder: Path) -> None:
    operations = json.loads((shared_folder / "contract/operations.json").read_text())["operations"]
    operation = next(o for o in operations if o["path"] == "/analytics/export")
    answer = await export(platform, operation["request"])
    assert answer.status_code == operation["success_status"]
    assert set(answer.json()["data"]) == set(operation["response"]["data"])
