"""Starting, stopping and looking at a user's bot. The worker does the rest: see `execution.py`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nija_common.errors import ErrorCode, NijaError, unavailable
from nija_common.events.topics import SETTINGS, SUBSCRIPTIONS, USERS
from nija_common.events.trading import BotStatus
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.tiers import DEFAULTS_HOLD_MS
from nija_trading.deps import Deps
from nija_trading.domain.account import (
    BROKERS,
    Account,
    Strategy,
    begin,
    end,
    new_account,
    refuse_killed,
    status_of,
)
from nija_trading.domain.apex.parameters import RiskLevel
from nija_trading.domain.apex.protections import day_of
from nija_trading.domain.controls import Shard
from nija_trading.domain.standing import Preferences, Standing, SwitchState, newcomer, refuse_suspended
from nija_trading.handlers import commands
from nija_trading.handlers.audit import Actor, audited

READY_IN_S = 10
NOTED = ("starting", "running", "paused")


@dataclass(frozen=True, slots=True)
class StartBot:
    """What a request to start says; None leaves it to the settings."""

    user_id: str
    registered_at_ms: int
    broker: str
    paper: bool | None
    risk_profile: str | None
    strategy: Strategy
    by: Actor


@dataclass(frozen=True, slots=True)
class StopBot:
    """What a request to stop says."""

    user_id: str
    close_positions: bool
    emergency: bool
    by: Actor


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a stop leaves open."""

    open_positions: int
    closing: bool


@dataclass(frozen=True, slots=True)
class BotView:
    """A bot as its user sees it."""

    status: BotStatus
    started_at_ms: int | None
    broker: str | None
    paper: bool
    last_scan_ms: int | None
    next_scan_ms: int | None
    positions: int
    today_trades: int
    last_error: str | None
    advanced: dict[str, SwitchState]


async def start(deps: Deps, cmd: StartBot) -> BotStatus:
    """Checks the request, lets the read models catch up where the answer rests on them, then asks the bot to start.

    Raises UNSUPPORTED_BROKER, INVALID_RISK_LEVEL, ACCOUNT_SUSPENDED, ACCOUNT_DISABLED, KILL_SWITCH_ACTIVE,
    ALREADY_RUNNING, SUBSCRIPTION_REQUIRED, NO_BROKER_CONFIGURED, SERVICE_UNAVAILABLE.
    """
    if cmd.broker not in BROKERS:
        raise NijaError(
            ErrorCode.UNSUPPORTED_BROKER,
            f"This broker is not supported. Choose one of: {', '.join(BROKERS)}.",
            {"supported": list(BROKERS)},
        )
    if cmd.risk_profile is not None and cmd.risk_profile not in list(RiskLevel):
        raise NijaError(ErrorCode.INVALID_RISK_LEVEL, f"risk_profile is one of: {', '.join(RiskLevel)}.")
    topics = (SETTINGS, SUBSCRIPTIONS, USERS)
    fresh = all(await asyncio.gather(*(deps.freshness.caught_up(topic, cmd.user_id) for topic in topics)))
    if not fresh and not (cmd.paper is True and cmd.risk_profile is not None):
        raise unavailable("Your latest settings cannot be read right now. Try again.")
    return await deps.work.run(start_bot, deps, cmd, queue=cmd.user_id)


async def start_bot(deps: Deps, cmd: StartBot, uow: UnitOfWork) -> BotStatus:
    """Reads, decides, collects: the account `starting`, and the command for the worker. Answers the status."""
    now_ms = deps.clock.now_ms()
    standing = await known_standing(deps, cmd.user_id, cmd.registered_at_ms)
    settings = (await deps.store.preferences(cmd.user_id)).trading
    account = await deps.store.account(cmd.user_id) or new_account(cmd.user_id)
    switch = await deps.store.switch()
    refuse_suspended(standing)
    if standing.version:
        # An account that is disabled meanwhile must find the bot that it has to stop.
        uow.guard(standing)
    refuse_killed(account, switch)
    if status_of(account, switch) not in ("stopped", "error"):
        raise NijaError(ErrorCode.ALREADY_RUNNING, "Bot is already running. Stop it first to change how it runs.")
    paper = settings.paper_trading if cmd.paper is None else cmd.paper
    if not paper:
        await _refuse_live(deps, cmd, standing, now_ms)
    started, event = begin(
        account,
        broker=cmd.broker,
        paper=paper,
        strategy=cmd.strategy,
        risk_profile=cmd.risk_profile or settings.risk_level,
        switch=switch,
        at_ms=now_ms,
    )
    uow.save(started)
    told: dict[str, str | bool] = {
        "broker": cmd.broker,
        "paper": paper,
        "strategy": cmd.strategy,
        "risk_profile": started.risk_profile,
    }
    uow.emit(event, audited(cmd.user_id, "bot_started", cmd.by, now_ms, **told))
    commands.leave(uow, cmd.user_id, "start", now_ms)
    return started.status


async def _refuse_live(deps: Deps, cmd: StartBot, standing: Standing, now_ms: int) -> None:
    """Every reason in its order; at last that orders to real exchanges are not sent by this version."""
    if not standing.tier(now_ms).live:
        raise NijaError(
            ErrorCode.SUBSCRIPTION_REQUIRED, "Live trading needs a paid subscription. Paper trading is free."
        )
    connections = await deps.store.connections(cmd.user_id)
    if not any(row.broker == cmd.broker and row.status == "connected" for row in connections):
        raise NijaError(
            ErrorCode.NO_BROKER_CONFIGURED, "No key for this broker is connected. Add one, or trade on paper."
        )
    raise unavailable("This version sends no orders to real exchanges. Trade on paper: paper_trading true.", 3600)


async def known_standing(deps: Deps, user_id: str, registered_at_ms: int) -> Standing:
    """The standing of a user; defaults for an account of the last minutes. Raises SERVICE_UNAVAILABLE."""
    standing = await deps.store.standing(user_id)
    if standing is not None and standing.complete:
        return standing
    if deps.clock.now_ms() - registered_at_ms >= DEFAULTS_HOLD_MS:
        raise unavailable("Your account's standing is not known here yet. Try again.")
    defaults = newcomer(user_id, registered_at_ms)
    return defaults if standing is None else standing.model_copy(update={"effective": defaults.effective})


async def stop_bot(deps: Deps, cmd: StopBot, uow: UnitOfWork) -> Stopped:
    """Ask the user's bot to stop; positions stay open and guarded unless the command says otherwise.

    Raises NOT_RUNNING if there is nothing to stop.
    """
    now_ms = deps.clock.now_ms()
    account = await deps.store.account(cmd.user_id)
    if account is None:
        raise _not_running()
    switch = await deps.store.switch()
    positions = await deps.store.count_positions(cmd.user_id)
    closing = cmd.close_positions and positions > 0
    if status_of(account, switch) == "stopped" and not closing:
        raise _not_running()
    stopped, events = end(account, by="user", reason=None, at_ms=now_ms)
    uow.save(stopped)
    told: dict[str, str | bool] = {"close_positions": cmd.close_positions, "emergency": cmd.emergency}
    uow.emit(*events, audited(cmd.user_id, "bot_stopped", cmd.by, now_ms, **told))
    if not (closing or cmd.emergency):
        commands.leave(uow, cmd.user_id, "stop", now_ms)
    else:
        commands.leave(uow, cmd.user_id, "halt", now_ms, targets=cmd.emergency, close=closing, reason="manual")
    return Stopped(positions, closing)


def _not_running() -> NijaError:
    return NijaError(ErrorCode.NOT_RUNNING, "Bot is not running.")


async def bot_view(deps: Deps, user_id: str) -> BotView:
    """The bot's status as it is in trading's own documents."""
    account = await deps.store.account(user_id) or new_account(user_id)
    status = status_of(account, await deps.store.switch())
    shard = await deps.store.shard(account.shard)
    positions = await deps.store.count_positions(user_id) if account.positions else 0
    ledger = account.ledgers.get(account.current or "")
    today = 0 if ledger is None or shard.step_ms is None else ledger.state.trades_on(day_of(shard.step_ms))
    preferences = await deps.store.preferences(user_id)
    scans = status in ("running", "paused")
    return BotView(
        status=status,
        started_at_ms=account.started_at_ms if status not in ("stopped", "error") else None,
        broker=account.broker,
        paper=account.paper,
        last_scan_ms=shard.scanned_at_ms if scans else None,
        next_scan_ms=shard.next_scan_ms if status == "running" else None,
        positions=positions,
        today_trades=today,
        last_error=account.last_error or (_noted(shard, account, preferences) if status in NOTED else None),
        advanced=preferences.advanced_states(),
    )


def _noted(shard: Shard, account: Account, preferences: Preferences) -> str | None:
    """What is wrong with the data of the bot's markets; None where nothing is."""
    names = [account.broker, *(f"{account.broker}/{symbol}" for symbol in preferences.trading.allowed_pairs)]
    return " ".join(shard.notes[name] for name in names if name in shard.notes) or None
