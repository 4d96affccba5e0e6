"""The account document: one for each user, and the guard of everything that trading does for that user.

It holds the desired state of the bot, the kill latch, reserved exposure, the shard's epoch, and how far each
ledger has come. Every unit of work saves or guards it, so two entries cannot both use the last of a limit, and
no entry commits beside a stop. Transitions are pure: they return the new document and the events it calls for.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from nija_common.errors import ErrorCode, NijaError
from nija_common.events.base import Event
from nija_common.events.trading import BotStatus, BotStatusChanged, KillSwitchSnapshot
from nija_common.values.document import Collection, Document, Index
from nija_common.values.shards import shard_of
from nija_trading.domain.apex.protections import Protections, restarted
from nija_trading.domain.controls import GlobalSwitch

Strategy = Literal["APEX_V72", "SIGNALS_ONLY"]
BROKERS = ("coinbase", "kraken")
BROKER_ERRORS = 5
"""So many failures of the broker in a row end a bot with the status `error`."""


PROTECTION = "protection"
"""Who trips a user's kill switch where it is not the user."""


class KillLatch(BaseModel):
    """A user's own kill switch, tripped. It stays until the user resets it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    reason: str
    by: str
    at_ms: int
    close_positions: bool


class Ledger(BaseModel):
    """One of a user's ledgers: what the strategy remembers of it. Steps are closing times of the market.

    `matched_ms`: the last step whose candles met the book; `decided_ms`: the last that was decided. Both are
    written with any change only; the steps between them and the shard's own are folded when it is loaded.
    `cash` is what the worker's last commit left, so that a broker's reading has something to be compared with; None
    where none has been written since there is this field.
    `late`: what is held in markets whose candles were not there at their steps: (the last step that has met the book,
    the step at which those behind it have met it; None: they are still awaited).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    broker: str
    paper: bool
    matched_ms: int
    decided_ms: int
    protections: dict[str, Any]
    cash: int | None = None
    late: dict[str, tuple[int, int | None]] = Field(default_factory=dict)

    @property
    def state(self) -> Protections:
        """The protections as the strategy's value."""
        return Protections.from_dict(self.protections)


def ledger_key(broker: str, paper: bool) -> str:
    """The name of a ledger within its account."""
    return f"{'paper' if paper else 'live'}/{broker}"


class Account(Document):
    """`active`: a worker has something to do for it (a bot that is not stopped, a position, an open order)."""

    collection: ClassVar[Collection] = Collection(
        "accounts", (Index("by_shard", ("shard", "active")), Index("by_active", ("active",)))
    )

    shard: int
    active: bool = False
    status: BotStatus = "stopped"
    broker: str | None = None
    paper: bool = True
    strategy: Strategy = "APEX_V72"
    risk_profile: str = "medium"
    started_at_ms: int | None = None
    stopped_by: str | None = None
    last_error: str | None = None
    broker_errors: int = 0
    """Failures of the broker in a row, since the bot's start or the last answer."""
    kill: KillLatch | None = None
    switch_generation: int = 0
    """How often the global switch had been tripped when the bot was started; older than the switch's: stopped."""
    epoch: int = 0
    reserved: int = 0
    positions: int = 0
    orders: int = 0
    ledgers: dict[str, Ledger] = Field(default_factory=dict)

    @property
    def current(self) -> str | None:
        """The ledger that the bot last ran on."""
        return None if self.broker is None else ledger_key(self.broker, self.paper)

    def changed(self, **update: Any) -> Account:
        """A copy with these fields, `active` kept true to the rest."""
        new = self.model_copy(update=update)
        active = new.status != "stopped" or new.positions > 0 or new.orders > 0
        return new if active == new.active else new.model_copy(update={"active": active})

    def with_ledger(self, ledger: Ledger) -> Account:
        """A copy with this ledger in the place of its predecessor."""
        return self.changed(ledgers={**self.ledgers, ledger_key(ledger.broker, ledger.paper): ledger})


def new_account(user_id: str) -> Account:
    """The account of a user who has none yet."""
    return Account(id=user_id, shard=shard_of(user_id))


def status_of(account: Account, switch: GlobalSwitch) -> BotStatus:
    """The bot's status; a bot that ran when the global switch was tripped is stopped, whoever has noticed."""
    return "stopped" if account.switch_generation < switch.generation else account.status


def status_event(account: Account, at_ms: int, reason: str | None = None) -> BotStatusChanged:
    """The event of a status that has just changed."""
    return BotStatusChanged(
        user_id=account.id,
        status=account.status,
        broker=account.broker or "",
        paper=account.paper,
        strategy=account.strategy,
        reason=reason,
        at_ms=at_ms,
    )


def refuse_killed(account: Account | None, switch: GlobalSwitch) -> None:
    """Raises KILL_SWITCH_ACTIVE where the global or the user's own switch is tripped."""
    if switch.active:
        raise NijaError(ErrorCode.KILL_SWITCH_ACTIVE, "Trading is stopped for everybody by an administrator.")
    if account is not None and account.kill is not None and account.kill.by == PROTECTION:
        raise NijaError(
            ErrorCode.KILL_SWITCH_ACTIVE,
            f"{account.kill.reason} Reset your emergency stop before you trade again.",
        )
    if account is not None and account.kill is not None:
        raise NijaError(ErrorCode.KILL_SWITCH_ACTIVE, "Your emergency stop is active. Reset it before you trade again.")


def begin(
    account: Account,
    *,
    broker: str,
    paper: bool,
    strategy: Strategy,
    risk_profile: str,
    switch: GlobalSwitch,
    at_ms: int,
) -> tuple[Account, BotStatusChanged]:
    """The bot is asked to start; a worker brings it from `starting` to `running`."""
    started = account.changed(
        status="starting",
        broker=broker,
        paper=paper,
        strategy=strategy,
        risk_profile=risk_profile,
        started_at_ms=at_ms,
        stopped_by=None,
        last_error=None,
        broker_errors=0,
        switch_generation=switch.generation,
    )
    return started, status_event(started, at_ms)


def run(account: Account, *, cash: int, step_ms: int, live: bool, at_ms: int) -> tuple[Account, BotStatusChanged]:
    """A worker has the bot: it decides from the step after `step_ms` on, or goes on where its ledger is guarded
    already (`live`). `cash` is what a new ledger begins with."""
    assert account.broker is not None
    key = ledger_key(account.broker, account.paper)
    before = account.ledgers.get(key)
    protections = Protections.start(cash) if before is None else restarted(before.state)
    seen = step_ms if before is None else max(step_ms, before.matched_ms)
    guarded = before if live else None
    ledger = Ledger(
        broker=account.broker,
        paper=account.paper,
        matched_ms=guarded.matched_ms if guarded else seen,
        decided_ms=guarded.decided_ms if guarded else seen,
        protections=protections.to_dict(),
        cash=None if before is None else before.cash,
    )
    running = account.with_ledger(ledger).changed(status="running")
    return running, status_event(running, at_ms)


def end(account: Account, *, by: str, reason: str | None, at_ms: int) -> tuple[Account, tuple[Event, ...]]:
    """The bot is stopped: entries end, open positions stay guarded. No event where it was stopped already."""
    if account.status == "stopped":
        return account, ()
    stopped = account.changed(status="stopped", stopped_by=by, started_at_ms=None, last_error=reason)
    return stopped, (status_event(stopped, at_ms, reason),)


def pause(account: Account, *, reason: str, at_ms: int) -> tuple[Account, BotStatusChanged]:
    """The bot cannot go on by itself (the replay has ended); alerts end as cancelled, positions stay."""
    paused = account.changed(status="paused", last_error=reason)
    return paused, status_event(paused, at_ms, reason)


def broker_failed(account: Account, *, message: str, at_ms: int) -> tuple[Account, tuple[Event, ...]]:
    """The broker could not be reached, or failed. The last of `BROKER_ERRORS` in a row ends entries with the status
    `error`; positions stay guarded. Nothing is counted for a bot that has ended already."""
    if account.status in ("stopped", "error"):
        return account, ()
    errors = account.broker_errors + 1
    if errors < BROKER_ERRORS:
        return account.changed(broker_errors=errors), ()
    reason = f"The broker failed {errors} times in a row; open positions stay guarded. The last failure: {message}"
    failed = account.changed(status="error", broker_errors=errors, last_error=reason)
    return failed, (status_event(failed, at_ms, reason),)


def broker_answered(account: Account) -> Account:
    """The broker has answered: failures before it count no more."""
    return account if account.broker_errors == 0 else account.changed(broker_errors=0)


def latch(
    account: Account, *, reason: str, by: str, close_positions: bool, at_ms: int, last_error: str | None = None
) -> tuple[Account, tuple[Event, ...]]:
    """The user's kill switch is tripped. A repetition keeps the first moment and adds the closing. `last_error`: what
    the bot's status says, where it was not the user."""
    before = account.kill
    kill = KillLatch(
        reason=reason if before is None else before.reason,
        by=by if before is None else before.by,
        at_ms=at_ms if before is None else before.at_ms,
        close_positions=close_positions or (before is not None and before.close_positions),
    )
    stopped, events = end(account, by="emergency_stop", reason=last_error, at_ms=at_ms)
    if last_error is not None:
        stopped = stopped.changed(last_error=last_error)
    return stopped.changed(kill=kill), (*events, latch_event(account.id, kill, active=True, by=by, at_ms=at_ms))


def release(account: Account, *, by: str, at_ms: int) -> tuple[Account, tuple[Event, ...]]:
    """The user's latch is lifted; nothing starts by itself."""
    if account.kill is None:
        return account, ()
    event = latch_event(account.id, account.kill, active=False, by=by, at_ms=at_ms)
    return account.changed(kill=None), (event,)


def present_latch(account: Account) -> KillSwitchSnapshot:
    """The snapshot of a user's switch as it is, tripped or not."""
    kill = account.kill or KillLatch(reason="", by=account.id, at_ms=0, close_positions=False)
    return latch_event(account.id, kill, active=account.kill is not None, by=kill.by, at_ms=kill.at_ms)


def latch_event(scope: str, kill: KillLatch, *, active: bool, by: str, at_ms: int) -> KillSwitchSnapshot:
    """The snapshot of a user's switch."""
    return KillSwitchSnapshot(
        scope=scope, active=active, reason=kill.reason, by=by, at_ms=at_ms, close_positions=kill.close_positions
    )
