"""TradingView alerts: refused for good with a 4xx, or stored durably and answered; the worker acts on them.

An accepted `buy` is a trade `pending` and a command; `sell` and `close` are a command on the open position. The
same alert gives the same trade again, and a refused one is not remembered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from nija_common.errors import ErrorCode, NijaError, unavailable
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.telemetry.metrics import RATE_LIMIT_REFUSALS
from nija_common.values.ids import new_id
from nija_trading.deps import Deps
from nija_trading.domain import facts
from nija_trading.domain.account import Account, refuse_killed, status_of
from nija_trading.domain.alerts import Alert, SeenAlert, alert_of, body_of, key_of
from nija_trading.domain.commands import SIGNAL_TTL_MS
from nija_trading.domain.records import Trade
from nija_trading.domain.standing import refuse_suspended
from nija_trading.handlers import commands
from nija_trading.handlers.audit import Actor, audited
from nija_trading.handlers.webhook_keys import owner_of

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Signal:
    """An alert of a known user."""

    user_id: str
    alert: Alert


@dataclass(frozen=True, slots=True)
class Refusal:
    """An alert that was refused for good, and with which code."""

    signal: Signal
    code: str
    by: Actor


async def receive(deps: Deps, raw: bytes, address: str | None, user_agent: str | None) -> str:
    """The whole way of an alert in; the id of its trade. Raises VALIDATION_ERROR, TOKEN_INVALID, RATE_LIMIT_EXCEEDED and
    what `accept` raises."""
    body = body_of(raw)
    user_id = await owner_of(deps, key_of(body))
    structlog.contextvars.bind_contextvars(user_id=user_id)
    await _count(deps, user_id, body)
    signal = Signal(user_id, alert_of(body, deps.clock.now_ms()))
    try:
        return await deps.work.run(accept, deps, signal, queue=user_id)
    except NijaError as error:
        if error.status < 500:
            refusal = Refusal(signal, error.code.value, Actor(user_id, address, user_agent))
            await deps.work.run(_note_refusal, deps, refusal, queue=user_id)
        raise


async def _count(deps: Deps, user_id: str, body: Mapping[str, Any]) -> None:
    """Counts an alert against its key; what reduces risk is never refused for it."""
    limit = deps.settings.trading_alerts_per_minute
    drawn = await deps.storage.draw(f"alerts/{user_id}", 1, limit, MINUTE_MS)
    if drawn.granted == 0 and body.get("action") not in ("sell", "close"):
        RATE_LIMIT_REFUSALS.labels("alerts").inc()
        wait_s = max(1, -(-(drawn.resets_at_ms - drawn.now_ms) // 1000))
        raise NijaError(
            ErrorCode.RATE_LIMIT_EXCEEDED,
            "Too many alerts with this webhook key.",
            {"limit": limit},
            retry_after=wait_s,
        )


async def accept(deps: Deps, signal: Signal, uow: UnitOfWork) -> str:
    """Stores the alert; the id of its trade. Raises ACCOUNT_SUSPENDED, ACCOUNT_DISABLED, KILL_SWITCH_ACTIVE, NOT_RUNNING,
    EXCEEDS_TIER_LIMIT, VALIDATION_ERROR."""
    now_ms = deps.clock.now_ms()
    seen = await deps.store.seen_alert(signal.alert.seen_id(signal.user_id))
    if seen is not None and seen.expires_at_ms > now_ms:
        return seen.trade_id
    if signal.alert.action == "buy":
        trade_id = await _buy(deps, signal, now_ms, uow)
    else:
        trade_id = await _close(deps, signal, now_ms, uow)
    remembered: dict[str, Any] = {"trade_id": trade_id, "expires_at_ms": now_ms + signal.alert.remembered_ms}
    if seen is None:
        uow.save(SeenAlert(id=signal.alert.seen_id(signal.user_id), **remembered))
    else:
        uow.save(seen.model_copy(update=remembered))
    return trade_id


async def _note_refusal(deps: Deps, refusal: Refusal, uow: UnitOfWork) -> None:
    """For the audit log: somebody's alerts come to nothing, and why."""
    alert = refusal.signal.alert
    told: dict[str, str | None] = {"symbol": alert.symbol, "action": alert.action, "refused": refusal.code}
    uow.emit(audited(refusal.signal.user_id, "alert_refused", refusal.by, deps.clock.now_ms(), **told))


async def _buy(deps: Deps, signal: Signal, now_ms: int, uow: UnitOfWork) -> str:
    alert = signal.alert
    standing = await deps.store.standing(signal.user_id)
    if standing is None or not standing.complete:
        raise unavailable("This account's standing is not known here yet.")
    account = await deps.store.account(signal.user_id)
    switch = await deps.store.switch()
    refuse_suspended(standing)
    refuse_killed(account, switch)
    if account is None or account.broker is None or status_of(account, switch) in ("stopped", "error"):
        raise NijaError(ErrorCode.NOT_RUNNING, "Bot is not running, so the alert opens nothing. Start it first.")
    if not standing.tier(now_ms).features.webhooks:
        raise NijaError(ErrorCode.EXCEEDS_TIER_LIMIT, "Alerts need the Pro plan or above.")
    if alert.symbol not in (await deps.store.preferences(signal.user_id)).trading.allowed_pairs:
        raise NijaError(
            ErrorCode.VALIDATION_ERROR,
            f"{alert.symbol} is not among your allowed pairs.",
            {"symbol": "not among allowed_pairs"},
        )
    trade = _trade(account, signal, now_ms, "pending")
    uow.guard(account)
    uow.save(trade)
    uow.emit(facts.trade_accepted(trade))
    commands.leave(
        uow,
        signal.user_id,
        "open",
        now_ms,
        expires_at_ms=now_ms + SIGNAL_TTL_MS,
        trade_id=trade.id,
        symbol=alert.symbol,
        size=alert.size,
        price=alert.price,
    )
    return trade.id


async def _close(deps: Deps, signal: Signal, now_ms: int, uow: UnitOfWork) -> str:
    """On the open position, or on one that an alert is just opening; else a trade that is cancelled at once."""
    symbol = signal.alert.symbol
    account = await deps.store.account(signal.user_id)
    positions = await deps.store.positions(signal.user_id)
    pending = await deps.store.trades(signal.user_id, "pending")
    if account is not None:
        uow.guard(account)
    found = [position.trade_id for position in positions if position.symbol == symbol]
    found += [trade.id for trade in pending if trade.symbol == symbol]
    if found:
        commands.leave(uow, signal.user_id, "close", now_ms, symbol=symbol, reason="webhook")
        return found[0]
    trade = _trade(account, signal, now_ms, "cancelled").model_copy(
        update={"reason": "no_position", "closed_at_ms": now_ms}
    )
    uow.save(trade)
    uow.emit(facts.trade_cancelled(trade, now_ms))
    return trade.id


def _trade(account: Account | None, signal: Signal, now_ms: int, status: Any) -> Trade:
    return Trade(
        id=new_id("trd"),
        user_id=signal.user_id,
        status=status,
        broker=(account.broker if account is not None else None) or "",
        paper=account.paper if account is not None else True,
        symbol=signal.alert.symbol,
        source="webhook",
        accepted_at_ms=now_ms,
    )
