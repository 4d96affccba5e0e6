"""Repeated and reordered events through the bus end in the same read models."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from nija_accounts.service import SERVICE
from nija_common.bus.port import Message
from nija_common.events.base import Event
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import (
    BalanceRead,
    BotStatusChanged,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TradeAccepted,
    TradeCancelled,
    TradeClosed,
    TradeOpened,
    TradeReduced,
)
from nija_common.testing import start_platform
from nija_common.testing.events import example_of
from nija_common.testing.redelivery import messages_of, redelivered
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier, effective

USERS = ("usr_a", "usr_b", "usr_c")
PATHS = (
    "/api/v1/account/balance",
    "/api/v1/account/positions",
    "/api/v1/account/history?per_page=100",
)


def lives() -> tuple[list[Event], list[Event]]:
    """What trading and billing said: nine trades a user, some still open, one cancelled; tiers up and down."""
    trading: list[Event] = []
    billing: list[Event] = []
    for user in USERS:
        trading.append(example_of(BotStatusChanged, user_id=user))
        trading.append(example_of(BalanceRead, user_id=user, cash="10000", initial=True))
        billing += [
            example_of(SubscriptionSnapshot, user_id=user, effective=[effective(tier, from_ms=0, live=True)])
            for tier in (Tier.FREE, Tier.PRO, Tier.ENTERPRISE, Tier.BASIC)
        ]
    for number in range(9):
        for user in USERS:
            trading += _trade(user, number)
    return trading, billing


def _trade(user: str, number: int) -> list[Event]:
    ids: dict[str, Any] = {"user_id": user, "trade_id": f"trd_{user}_{number}"}
    held: dict[str, Any] = {**ids, "position_id": f"pos_{user}_{number}"}
    at_ms = 1_769_683_320_000 + number
    accepted = example_of(TradeAccepted, **ids, at_ms=at_ms)
    if number == 4:
        return [accepted, example_of(TradeCancelled, **ids, accepted_at_ms=at_ms)]
    begun = [
        accepted,
        example_of(TradeOpened, **held, at_ms=at_ms),
        example_of(PositionOpened, **held, opened_at_ms=at_ms),
        example_of(BalanceRead, user_id=user, cash=f"{9000 - number}"),
        example_of(TradeReduced, **held),
        example_of(PositionChanged, **held, opened_at_ms=at_ms, quantity="0.005", size_usd="216.05"),
    ]
    if number > 6:
        return begun
    return [
        *begun,
        example_of(TradeClosed, **held, opened_at_ms=at_ms),
        example_of(PositionClosed, **held),
        example_of(BalanceRead, user_id=user, cash=f"{9500 + number}"),
    ]


async def outcome(folder: Path, deliveries: list[Message]) -> list[Any]:
    clock = ManualClock()
    async with start_platform(folder, [SERVICE], clock=clock) as platform:
        await platform.node.infrastructure.bus.send(deliveries)
        await platform.settled()
        answers = []
        for user in USERS:
            client = platform.client("accounts", platform.token(user))
            answers += [(await client.get(path)).json()["data"] for path in PATHS]
            answers.append((await platform.deps("accounts").settings.allowance(user)).effective)
        return answers


@settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(chance=st.randoms(use_true_random=False))
def test_events_repeated_and_shuffled_through_the_bus_end_in_the_same_answers(
    tmp_path_factory: pytest.TempPathFactory, chance: random.Random
) -> None:
    trading, billing = lives()
    facts = messages_of(trading, source="trading-engine", clock=ManualClock())
    states = messages_of(billing, source="billing", clock=ManualClock())
    plain = asyncio.run(outcome(tmp_path_factory.mktemp("plain"), [*facts, *states]))
    unkind = [*redelivered(facts, chance), *redelivered(states, chance)]
    assert len(plain[2]["trades"]) == 9
    assert plain[3][0].tier is Tier.BASIC
    assert asyncio.run(outcome(tmp_path_factory.mktemp("unkind"), unkind)) == plain
