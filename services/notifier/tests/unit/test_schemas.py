"""Every frame that a socket is told is what the document of the socket says, and every message it may say is read."""

from __future__ import annotations

from typing import get_args

import orjson
import pytest

from nija_common.errors import ErrorCode, NijaError
from nija_common.events.payments import InvoicePaymentFailed
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import (
    BotStatusChanged,
    KillSwitchSnapshot,
    PositionOpened,
    TradeCancelled,
    TradeClosed,
    TradeOpened,
    TradeReduced,
)
from nija_common.testing.events import example_of
from nija_common.values.frames import text_in
from nija_notifier import schemas
from nija_notifier.domain import alerts, messages
from nija_notifier.domain.alerts import Alarms
from nija_notifier.domain.positions import LivePosition, open_position
from nija_notifier.domain.trade_updates import TradeUpdate

MODELS = {schemas.type_of(model): model for model in schemas.TOLD}


def alert_frames() -> list[bytes]:
    alarms = Alarms()
    past_due = example_of(SubscriptionSnapshot, user_id="usr_a", status="past_due")
    found = [
        alarms.switch_changed(example_of(KillSwitchSnapshot, active=True)),
        alarms.switch_changed(example_of(KillSwitchSnapshot, active=False)),
        alarms.subscription_changed(past_due, 0),
        *alarms.now("usr_a"),
        alarms.subscription_changed(past_due.model_copy(update={"status": "active"}), 1),
        alerts.payment_failed(example_of(InvoicePaymentFailed)),
        alerts.bot_trouble(example_of(BotStatusChanged, status="error")),
        alerts.bot_trouble(example_of(BotStatusChanged, status="paused")),
    ]
    return [alert.frame for alert in found if alert is not None]


def position_frames() -> list[bytes]:
    position = LivePosition(open_position(example_of(PositionOpened), 0), None, followed=True)
    opened = position.frame()
    position.close(1)
    return [opened, position.frame()]


TRADES = [
    TradeUpdate(event, 0, 7).frame()
    for event in (
        example_of(TradeOpened),
        example_of(TradeReduced),
        example_of(TradeClosed),
        example_of(TradeCancelled),
    )
]
FRAMES = [
    messages.auth_success("usr_a", ["trades"]),
    messages.subscribed("trades"),
    messages.unsubscribed("alerts"),
    messages.PONG,
    messages.resync("trades"),
    messages.error_frame(NijaError(ErrorCode.TOKEN_INVALID, "No.", {"a": 1})),
    *position_frames(),
    *TRADES,
    *alert_frames(),
]


@pytest.mark.parametrize("text", [text_in(frame) for frame in FRAMES])
def test_a_frame_is_what_its_model_says(text: bytes) -> None:
    MODELS[orjson.loads(text)["type"]].model_validate_json(text)


def test_every_model_and_every_kind_of_alert_was_seen() -> None:
    seen = {orjson.loads(text_in(frame))["type"] for frame in FRAMES}
    assert seen == set(MODELS)
    kinds = {orjson.loads(text_in(frame))["data"]["kind"] for frame in alert_frames()}
    assert kinds == set(get_args(schemas.AlertData.model_fields["kind"].annotation))


@pytest.mark.parametrize(
    "said",
    [
        schemas.Auth(type="auth", token="t"),
        schemas.Subscribe(type="subscribe", channel="trades", since=7),
        schemas.Unsubscribe(type="unsubscribe", channel="positions"),
        schemas.Ping(type="ping"),
    ],
    ids=lambda said: said.type,
)
def test_what_a_client_may_say_is_read(said: schemas.Message) -> None:
    assert type(messages.read_message(said.model_dump_json())).__name__ == type(said).__name__


def test_there_is_an_example_of_everything_a_client_may_say() -> None:
    assert {schemas.type_of(model) for model in schemas.SAID} == {"auth", "subscribe", "unsubscribe", "ping"}
