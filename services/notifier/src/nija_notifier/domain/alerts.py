"""The channel `alerts`: what stops a user's trading, told when it happens, and when it is over.

What lasts (kill switches, a missing payment) is remembered here, so that whoever subscribes is told at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nija_common.events.payments import InvoicePaymentFailed
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import BotStatusChanged, KillSwitchSnapshot
from nija_common.values.times import iso
from nija_notifier.domain import wording
from nija_notifier.domain.messages import update
from nija_notifier.domain.notices import GLOBAL

Severity = Literal["critical", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One message for a user, or for everybody (`user_id` None)."""

    user_id: str | None
    frame: bytes


def alert(
    user_id: str | None, kind: str, message: str, severity: Severity, at_ms: int, **more: str | bool | None
) -> Alert:
    """The frame `alert`; `message` says what happened and what to do next."""
    data: dict[str, object] = {"kind": kind, "message": message, "severity": severity, "timestamp": iso(at_ms), **more}
    return Alert(user_id, update("alert", "alerts", data))


class Alarms:
    """What is wrong at this moment. Holds only exceptions: nothing for accounts where all is well."""

    def __init__(self) -> None:
        self._switches: dict[str, KillSwitchSnapshot] = {}
        self._past_due: dict[str, int] = {}

    def switch_changed(self, event: KillSwitchSnapshot) -> Alert | None:
        """Takes over the state of a switch; an alert if that is a change."""
        known = self._switches.pop(event.scope, None)
        if event.active:
            self._switches[event.scope] = event
            return _tripped(event) if known is None else None
        return None if known is None else _released(event)

    def subscription_changed(self, event: SubscriptionSnapshot, at_ms: int) -> Alert | None:
        """Takes over whether a payment is missing (that one failed is told by `payment_failed`, which knows why); an
        alert once it has been made good."""
        if event.status == "past_due":
            self._past_due.setdefault(event.user_id, at_ms)
            return None
        since = self._past_due.pop(event.user_id, None)
        if since is None or event.status != "active":
            return None
        message = "Your payment has come through: new positions are possible again. Nothing is left to do."
        return alert(event.user_id, "payment_settled", message, "info", at_ms)

    def now(self, user_id: str) -> list[Alert]:
        """What a user who begins to follow is told at once."""
        switches = [self._switches[scope] for scope in (GLOBAL, user_id) if scope in self._switches]
        found = [_tripped(switch) for switch in switches]
        if user_id in self._past_due:
            found.append(_past_due(user_id, self._past_due[user_id]))
        return found

    def __len__(self) -> int:
        return len(self._switches) + len(self._past_due)


def _tripped(event: KillSwitchSnapshot) -> Alert:
    positions = "Open positions are being closed." if event.close_positions else "Open positions stay guarded."
    if event.scope == GLOBAL:
        message = f"An administrator has stopped trading for everybody: nothing is opened. {positions}"
        return alert(None, "kill_switch_tripped", message, "critical", event.at_ms, **_switch(event))
    message = f"Your kill switch is on: nothing is opened. {positions} Reset it before you start the bot again."
    return alert(event.scope, "kill_switch_tripped", message, "critical", event.at_ms, **_switch(event))


def _released(event: KillSwitchSnapshot) -> Alert:
    if event.scope == GLOBAL:
        message = "Trading is possible again. Nothing starts by itself: start the bot when you want it to trade."
        return alert(None, "kill_switch_released", message, "info", event.at_ms, **_switch(event))
    message = "Your kill switch is off. Nothing starts by itself: start the bot when you want it to trade."
    return alert(event.scope, "kill_switch_released", message, "info", event.at_ms, **_switch(event))


def _switch(event: KillSwitchSnapshot) -> dict[str, str | bool | None]:
    """Who did it stays out: an administrator's id is nobody's business."""
    scope = GLOBAL if event.scope == GLOBAL else "user"
    return {"scope": scope, "reason": event.reason or None, "close_positions": event.close_positions}


def payment_failed(event: InvoicePaymentFailed) -> Alert:
    """A payment has failed."""
    amount = wording.cents(event.amount_cents, event.currency)
    message = (
        f"The payment of {amount} failed: no new positions until it is paid. Open positions stay guarded. Change your "
        "payment method under Subscription."
    )
    more = {"reason": event.reason, "invoice_id": event.invoice_id, "amount": amount}
    return alert(event.user_id, "payment_failed", message, "critical", event.at_ms, **more)


def _past_due(user_id: str, at_ms: int) -> Alert:
    message = (
        "A payment is missing: no new positions until it is paid. Open positions stay guarded. Change your payment "
        "method under Subscription."
    )
    return alert(user_id, "payment_failed", message, "critical", at_ms, reason=None, invoice_id=None, amount=None)


def bot_trouble(event: BotStatusChanged) -> Alert | None:
    """A bot has stopped deciding by itself: `error` or `paused`. None for any other status."""
    more = {"reason": event.reason, "broker": event.broker, "paper": event.paper}
    if event.status == "error":
        message = "The bot has stopped after an error: nothing is opened. Look at the reason, then start it again."
        return alert(event.user_id, "bot_error", message, "critical", event.at_ms, **more)
    if event.status == "paused":
        message = "The bot is paused: nothing is opened, open positions stay guarded. Look at the reason."
        return alert(event.user_id, "bot_paused", message, "warning", event.at_ms, **more)
    return None
