"""The protection against a balance that no fill explains: compares what a broker says with what our commits left.

It looks whenever a worker reads an account anew (start, take-over, after a crash or a failure); between two of its own
commits a worker has nothing to compare. It closes nothing: a wrong number is no reason to sell.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from nija_common.errors import NijaError
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.telemetry import metrics
from nija_common.values.money import text_of
from nija_trading.deps import Deps
from nija_trading.domain import facts
from nija_trading.domain.account import PROTECTION, Account, latch
from nija_trading.domain.balances import adopted, alarming, cost_of
from nija_trading.domain.desk import Desk
from nija_trading.handlers import commands
from nija_trading.handlers.audit import Actor, audited

log = structlog.get_logger(__name__)


async def compared(
    deps: Deps, account: Account, desks: Mapping[str, Desk], uow: UnitOfWork
) -> tuple[Account, dict[str, Desk]]:
    """The account and its ledgers with the cash that their brokers say. A difference is adopted, and one of more than
    half trips the user's kill switch; `uow` must then write the account. The same account where nothing differs."""
    after: dict[str, Desk] = {}
    for key, stored in desks.items():
        desk = stored if stored.account is account else stored.with_account(account)
        expected, read = desk.ledger.cash, await _cash(deps, desk)
        if expected is not None and read is not None and read != expected:
            alarm = alarming(expected, read, cost_of(desk))
            desk = adopted(desk, read)
            uow.emit(facts.balance_read(desk, deps.clock.now_ms()))
            if alarm:
                desk = desk.with_account(_tripped(deps, desk, expected, read, uow))
            _tell(desk, expected, read, alarm)
        account = desk.account
        after[key] = desk
    return account, after


async def _cash(deps: Deps, desk: Desk) -> int | None:
    """What the broker says; None where it cannot, which keeps nobody from guarding positions."""
    try:
        return await deps.broker.cash(desk)
    except NijaError as error:
        log.warning("balance_not_read", user_id=desk.user_id, broker=desk.ledger.broker, reason=error.message)
        return None


def _tripped(deps: Deps, desk: Desk, expected: int, read: int, uow: UnitOfWork) -> Account:
    """The user's latch, and the command that takes waiting entries back."""
    now_ms = deps.clock.now_ms()
    mode = "paper" if desk.ledger.paper else "live"
    reason = (
        f"The cash at {desk.ledger.broker} ({mode}) changed without a fill: "
        f"{text_of(expected)} USD were expected, {text_of(read)} USD are there."
    )
    account, events = latch(
        desk.account,
        reason=reason,
        by=PROTECTION,
        close_positions=False,
        at_ms=now_ms,
        last_error=f"{reason} Nothing is opened until you reset your emergency stop; open positions stay guarded.",
    )
    told: dict[str, str | bool] = {"broker": desk.ledger.broker, "paper": desk.ledger.paper, "reason": reason}
    uow.emit(*events, audited(account.id, "balance_unexplained", Actor(PROTECTION), now_ms, **told))
    commands.leave_unsaid(uow, account.id, "halt", now_ms, reason="kill_switch")
    return account


def _tell(desk: Desk, expected: int, read: int, alarm: bool) -> None:
    mode = "paper" if desk.ledger.paper else "live"
    outcome = "tripped" if alarm else "adopted"
    metrics.BALANCE_DIFFERENCES.labels(desk.ledger.broker, mode, outcome).inc()
    log.warning(
        "balance_unexplained",
        user_id=desk.user_id,
        broker=desk.ledger.broker,
        mode=mode,
        expected=text_of(expected),
        read=text_of(read),
        outcome=outcome,
    )
