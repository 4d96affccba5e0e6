"""The mailed summaries: who gets one, of what, and that nobody gets it twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nija_analytics.domain.digests import last_period
from nija_analytics.handlers import digests
from nija_analytics.service import SERVICE
from nija_common.events.base import Event
from nija_common.events.deliveries import MailRequested
from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import NotificationSettings, SettingsSnapshot
from nija_common.events.trading import BalanceRead, BotStatusChanged, TradeClosed
from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock

DAY_S = 86_400
HOUR = 3_600_000
TO_MIDNIGHT_S = 13 * 3600 + 18 * 60
"""The clock begins on Thursday, 2026-01-29, at 10:42 UTC."""


def person(user: str, **changes: Any) -> UserSnapshot:
    return example_of(UserSnapshot, user_id=user, email=f"{user}@nija.example", full_name=f"{user} Trader", **changes)


def wants(user: str, **switches: bool) -> SettingsSnapshot:
    notifications = NotificationSettings(**switches).model_dump(mode="json")
    return example_of(SettingsSnapshot, user_id=user, notifications=notifications)


def closed(user: str, number: int, at_ms: int, pnl: str, **changes: Any) -> TradeClosed:
    return example_of(
        TradeClosed,
        **{
            "user_id": user,
            "trade_id": f"trd_{user}_{number}",
            "realized_pnl": pnl,
            "opened_at_ms": at_ms - HOUR,
            "closed_at_ms": at_ms,
            **changes,
        },
    )


async def given(platform: TestPlatform, *events: Event) -> None:
    """Each from its producer."""
    sources = {UserSnapshot: "auth", SettingsSnapshot: "accounts"}
    for source in ("auth", "accounts", "trading-engine"):
        await platform.given_events(
            *(e for e in events if sources.get(type(e), "trading-engine") == source), source=source
        )


async def mails(platform: TestPlatform, template: str) -> list[MailRequested]:
    await platform.run_loop("analytics", "send-digests")
    return [mail for mail in await platform.emitted(MailRequested) if mail.template == template]


async def test_a_day_is_told_after_midnight(platform: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    await given(
        platform,
        person("usr_a"),
        example_of(BalanceRead, user_id="usr_a", cash="10000", initial=True, at_ms=now - 5 * DAY_S * 1000),
        closed("usr_a", 0, now - 3 * DAY_S * 1000, "1000"),
        closed("usr_a", 1, now, "110", symbol="BTC-USD"),
        closed("usr_a", 2, now, "-33", symbol="BTC-USD"),
        closed("usr_a", 3, now, "88", symbol="ETH-USD"),
        closed("usr_a", 4, now, "0", symbol="ETH-USD"),
    )
    assert await mails(platform, "daily_summary") == []
    clock.advance(TO_MIDNIGHT_S + 5)
    await given(platform, closed("usr_a", 5, clock.now_ms(), "5000"))
    (mail,) = await mails(platform, "daily_summary")
    assert (mail.user_id, mail.to, mail.sealed) == ("usr_a", "usr_a@nija.example", None)
    assert mail.fields == {
        "full_name": "usr_a Trader",
        "period": "2026-01-29",
        "trades": "4",
        "wins": "2",
        "losses": "1",
        "win_rate": "0.5000",
        "pnl": "165.00",
        "pnl_pct": "1.50",
        "equity": "11165.00",
        "best_symbol": "ETH-USD",
    }
    assert mail.expires_at_ms == now + (TO_MIDNIGHT_S + DAY_S) * 1000


async def test_a_week_is_told_on_monday(platform: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    await given(
        platform,
        person("usr_a"),
        example_of(BalanceRead, user_id="usr_a", cash="1000", initial=True, at_ms=now - 9 * DAY_S * 1000),
        closed("usr_a", 1, now, "10"),
        closed("usr_a", 2, now + DAY_S * 1000, "20"),
    )
    clock.advance(TO_MIDNIGHT_S + 2 * DAY_S)
    assert await mails(platform, "weekly_report") == []
    clock.advance(DAY_S + 5)
    (mail,) = await mails(platform, "weekly_report")
    assert (mail.fields["period"], mail.fields["trades"], mail.fields["pnl"]) == (
        "2026-01-26 to 2026-02-01",
        "2",
        "30.00",
    )
    assert (mail.fields["pnl_pct"], mail.fields["equity"]) == ("3.00", "1030.00")


async def test_nobody_gets_a_summary_twice(platform: TestPlatform, clock: ManualClock) -> None:
    await given(platform, person("usr_a"), closed("usr_a", 1, clock.now_ms(), "10"))
    clock.advance(TO_MIDNIGHT_S + 5)
    for _ in range(3):
        assert len(await mails(platform, "daily_summary")) == 1
    clock.advance(DAY_S)
    assert len(await mails(platform, "daily_summary")) == 1


async def test_only_who_traded_and_wants_it_is_written_to(platform: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    users = [f"usr_{letter}" for letter in "abcdefg"]
    await given(
        platform,
        *(person(user) for user in users[:5]),
        person("usr_f", status="disabled"),
        wants("usr_b", daily_summary=False),
        wants("usr_c", email_enabled=False),
        wants("usr_d", weekly_report=False, trade_notifications=False),
        *(closed(user, 1, now, "10") for user in users if user != "usr_e"),
        closed("usr_e", 1, now - 2 * DAY_S * 1000, "10"),
    )
    clock.advance(TO_MIDNIGHT_S + 5)
    # g traded, but who that is has not been told; e traded on another day.
    assert {mail.user_id for mail in await mails(platform, "daily_summary")} == {"usr_a", "usr_d"}
    clock.advance(3 * DAY_S)
    assert {mail.user_id for mail in await mails(platform, "weekly_report")} == {"usr_a", "usr_b", "usr_e"}


async def test_the_ledger_is_the_one_last_run_on_if_it_traded(platform: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    await given(
        platform,
        person("usr_a"),
        person("usr_b"),
        closed("usr_a", 1, now, "1"),
        closed("usr_a", 2, now, "2", paper=False),
        example_of(BotStatusChanged, user_id="usr_a", paper=False),
        closed("usr_b", 1, now, "3"),
        example_of(BotStatusChanged, user_id="usr_b", paper=False),
    )
    clock.advance(TO_MIDNIGHT_S + 5)
    found = {mail.user_id: mail.fields["pnl"] for mail in await mails(platform, "daily_summary")}
    assert found == {"usr_a": "2.00", "usr_b": "3.00"}


async def test_many_are_written_to_page_by_page_across_a_crash(
    platform: TestPlatform, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third page fails in its middle: what was committed is not repeated, the rest follows."""
    users = [f"usr_{number:02}" for number in range(25)]
    await given(platform, *(person(u) for u in users), *(closed(u, 1, clock.now_ms(), "1") for u in users))
    monkeypatch.setattr(digests, "AT_ONCE", 10)
    period = last_period("daily_summary", clock.now_ms() + DAY_S * 1000)
    deps = platform.deps("analytics")
    for _ in range(2):
        assert not await deps.work.run(digests._page, deps, period)
    uow = deps.work.open()
    await digests._page(deps, period, uow)
    assert len(await platform.emitted(MailRequested)) == 20
    clock.advance(TO_MIDNIGHT_S + 5)
    found = await mails(platform, "daily_summary")
    assert sorted(mail.user_id for mail in found) == users
    assert len({mail.mail_id for mail in found}) == 25


async def test_a_mails_id_is_the_same_on_every_replica(tmp_path: Path) -> None:
    ids = []
    for name in ("one", "two"):
        clock = ManualClock()
        async with start_platform(tmp_path / name, [SERVICE], clock=clock) as platform:
            await given(platform, person("usr_a"), closed("usr_a", 1, clock.now_ms(), "1"))
            clock.advance(TO_MIDNIGHT_S + 5)
            ids += [mail.mail_id for mail in await mails(platform, "daily_summary")]
    assert len(ids) == 2
    assert len(set(ids)) == 1
