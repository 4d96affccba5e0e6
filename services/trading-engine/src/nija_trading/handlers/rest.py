"""Bots at rest: those that hold nothing, wait for nothing, and whose markets ask for no entry. A step passes them over.

What a step would do to such a bot is known beforehand: its equity stands still and nothing is written. So nothing is
done, and `memory.carried` folds the steps behind it before anything else happens to the account, as it does after a
crash. What a market asks for is found once a step, whatever number of bots look at it.
"""

from __future__ import annotations

from nija_trading.domain.apex.parameters import PROFILES, RiskLevel
from nija_trading.handlers.memory import Bot, Memory
from nija_trading.ports import Market


def lie_down(bot: Bot, step_ms: int) -> None:
    """Lets a bot rest that has just taken a step, where there is nothing about it that a next one could change; one that
    waits in the middle of it has to be called."""
    bot.rests = None
    if bot.memory is not None and _at_rest(bot.memory, step_ms):
        bot.rests = bot.memory = bot.memory.as_stored()


def _at_rest(memory: Memory, step_ms: int) -> bool:
    """Whether the account is a running bot with nothing but cash, decided up to this step. The equity of its last close
    is that cash: until then its next close is still to be compared with what it held."""
    account = memory.account
    if account.status != "running" or account.positions or account.orders or memory.owes:
        return False
    (live,) = memory.live() or ("",)
    if live != account.current or memory.waits_for_broker():
        return False
    ledger, book = account.ledgers[live], memory.desks[live].book
    if ledger.decided_ms != step_ms or ledger.matched_ms != step_ms or ledger.late:
        return False
    return not (book.holdings or book.orders or book.opened) and ledger.state.equity == book.cash


class Asking:
    """Which markets ask for an entry at any step behind `after_ms` up to `step_ms`, or have not told their candles."""

    def __init__(self, market: Market, after_ms: int, step_ms: int) -> None:
        self._market = market
        self._steps: list[int] = []
        following = market.after(after_ms)
        while following is not None and following <= step_ms:
            self._steps.append(following)
            following = market.after(following)
        self._asks: dict[tuple[str, str, str], bool] = {}
        self._calls: dict[tuple[str, str, tuple[str, ...]], bool] = {}

    def passes_over(self, bot: Bot) -> bool:
        """Whether these steps change nothing about a bot. Its memory is the one that it lay down with: any commit, and
        any change of settings, standing or switch, has made another."""
        memory = bot.memory
        if memory is None or memory is not bot.rests:
            return False
        account = memory.account
        assert account.broker is not None
        key = (account.broker, account.risk_profile, memory.allowance.preferences.trading.allowed_pairs)
        calls = self._calls.get(key)
        if calls is None:
            calls = self._calls[key] = any(self._symbol(*key[:2], symbol) for symbol in key[2])
        return not calls

    def _symbol(self, broker: str, profile: str, symbol: str) -> bool:
        key = (broker, profile, symbol)
        if key not in self._asks:
            self._asks[key] = any(self._at(broker, profile, symbol, step_ms) for step_ms in self._steps)
        return self._asks[key]

    def _at(self, broker: str, profile: str, symbol: str, step_ms: int) -> bool:
        if not self._market.known(broker, symbol, step_ms):
            return True
        closes = self._market.closes(broker, (symbol,), step_ms, PROFILES[RiskLevel(profile)])
        return any(close.row.wants_entry for close in closes)
