"""Which bots a step passes over: exactly those to which a whole step would do nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from nija_common.events.preferences import TradingSettings
from nija_trading.domain.apex.parameters import PROFILES
from nija_trading.domain.controls import UNTRIPPED, Shard, shard_id
from nija_trading.domain.desk import Desk, changes
from nija_trading.domain.gates import Allowance
from nija_trading.domain.standing import Preferences, Standing
from nija_trading.handlers.memory import Bot, HeldShard, Memory
from nija_trading.handlers.rest import Asking, lie_down


def bot_of(stored: Desk, desk: Desk, market: Any, pairs: tuple[str, ...], **account: Any) -> Bot:
    """A bot whose memory has this desk."""
    desk = desk.with_account(desk.account.model_copy(update=account)) if account else desk
    allowance = Allowance(
        Standing(id="usr_a"), Preferences(id="usr_a", trading=TradingSettings(allowed_pairs=pairs)), UNTRIPPED
    )
    memory = Memory(desk.account, {desk.key: stored}, {desk.key: desk}, allowance, market)
    return Bot("usr_a", HeldShard(0, 1, 1e9, Shard(id=shard_id(0)), 0, 0), memory)


def calm(_: int) -> str | None:
    return None


@pytest.mark.parametrize("seed", [0, 1, 3, 5])
def test_a_step_changes_nothing_about_a_bot_that_it_passes_over(
    seed: int, random_feeds: Any, terms_for: Any, driver: Any
) -> None:
    feeds = random_feeds(seed, 420)
    pairs = tuple(feeds)
    plain = terms_for(seed, pairs)
    level = plain.rules.profile.level.value
    terms = replace(plain, rules=replace(plain.rules, profile=PROFILES[plain.rules.profile.level]))
    seen: Counter[str] = Counter()

    class Resting(driver):  # type: ignore[misc]
        resting: Bot | None = None
        before_ms: int = 0
        stored_before: Desk | None = None

        def stepped(self, desk: Desk) -> None:
            """Judges the step that is over by the bot that lay down before it, and lets it lie down again."""
            if self.resting is not None:
                over = Asking(self.market, self.before_ms, self.shard_step).passes_over(self.resting)
                seen["passed over" if over else "called"] += 1
                assert not over or self.stored is self.stored_before
            bot = bot_of(self.stored, desk, self.market, pairs, risk_profile=level)
            lie_down(bot, self.shard_step)
            seen["lay down" if bot.rests else "stayed up"] += 1
            assert bot.rests is None or not (desk.positions or desk.open_orders())
            self.resting, self.before_ms, self.stored_before = bot if bot.rests else None, self.shard_step, self.stored

    Resting(feeds, terms, calm).run()
    assert min(seen[name] for name in ("passed over", "called", "lay down", "stayed up")) > 0, seen


@pytest.fixture
def flat(random_feeds: Any, terms_for: Any, driver: Any) -> Any:
    """`(bot, market, step)`: a bot that holds nothing, at the first step of its market."""
    feeds = random_feeds(3, 600)
    ran = driver(feeds, terms_for(3, tuple(feeds)), calm)
    step_ms = ran.market.first_ms
    account = ran.stored.account
    ledger = ran.stored.ledger.model_copy(update={"matched_ms": step_ms, "decided_ms": step_ms})
    desk = ran.stored.with_account(account.with_ledger(ledger))
    return bot_of(ran.stored, desk, ran.market, tuple(feeds)), ran.market, step_ms


class Partly:
    """A market that has not told its candle of any step."""

    def __init__(self, market: Any) -> None:
        self.market = market

    def __getattr__(self, name: str) -> Any:
        return getattr(self.market, name)

    def known(self, *_: Any) -> bool:
        return False


def quiet_step(bot: Bot, market: Any, step_ms: int) -> int:
    """A step at which the bot's markets ask for nothing, with the one before it."""
    while not Asking(market, step_ms, market.after(step_ms)).passes_over(bot):
        step_ms = market.after(step_ms)
    return step_ms


def test_a_bot_lies_down_as_it_is_stored(flat: Any) -> None:
    bot, _, step_ms = flat
    stored = bot.memory.stored
    lie_down(bot, step_ms)
    assert bot.rests is bot.memory
    assert bot.memory.desks is stored
    assert not changes(next(iter(stored.values())), bot.memory.desk(bot.memory.account.current)).deletes


@pytest.mark.parametrize(
    "account", [{"status": "paused"}, {"status": "error"}, {"positions": 1}, {"orders": 1}, {"broker": "kraken"}]
)
def test_a_bot_with_anything_left_to_do_does_not_lie_down(flat: Any, account: dict[str, Any]) -> None:
    bot, _, step_ms = flat
    bot.memory = replace(bot.memory, account=bot.memory.account.model_copy(update=account))
    lie_down(bot, step_ms)
    assert bot.rests is None


def test_a_bot_whose_equity_was_not_its_cash_at_the_last_close_does_not_lie_down(flat: Any) -> None:
    bot, _, step_ms = flat
    memory = bot.memory
    desk = memory.desks[memory.account.current]
    poorer = replace(desk, book=replace(desk.book, cash=desk.book.cash - 1))
    bot.memory = replace(memory, desks={desk.key: poorer})
    lie_down(bot, step_ms)
    assert bot.rests is None


def test_a_bot_that_has_not_decided_the_step_does_not_lie_down(flat: Any) -> None:
    bot, market, step_ms = flat
    bot.rests = bot.memory
    lie_down(bot, market.after(step_ms))
    assert bot.rests is None, "it waits for candles"


def test_a_bot_is_called_where_a_candle_is_not_there_yet(flat: Any) -> None:
    bot, market, step_ms = flat
    lie_down(bot, step_ms)
    before = quiet_step(bot, market, step_ms)
    assert not Asking(Partly(market), before, market.after(before)).passes_over(bot)


def test_a_bot_is_called_after_any_change_of_its_memory(flat: Any) -> None:
    bot, market, step_ms = flat
    lie_down(bot, step_ms)
    before = quiet_step(bot, market, step_ms)
    bot.memory = replace(bot.memory)
    assert not Asking(market, before, market.after(before)).passes_over(bot)


def test_a_signal_at_any_of_several_steps_calls(flat: Any) -> None:
    bot, market, step_ms = flat
    lie_down(bot, step_ms)
    asked = step_ms
    while Asking(market, asked, market.after(asked)).passes_over(bot):
        asked = market.after(asked)
    assert not Asking(market, step_ms, market.last_ms).passes_over(bot)
    assert Asking(market, asked, asked).passes_over(bot), "no step, nothing asked"
