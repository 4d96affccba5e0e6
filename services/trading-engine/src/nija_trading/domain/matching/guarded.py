"""What a held long meets in a candle: its stop and its take-profit levels, and what each of them sells.

Plain values in and out, so that whoever goes over thousands of candles pays for what happens alone. The paper
broker (`symbol_book.py`) and the fast backtest (`backtest/walk.py`) both call this; nothing else fills a stop
or a level on paper. Quantities, values and fees in units of 1e-8, prices float64.
"""

from __future__ import annotations

from collections.abc import Sequence

from nija_trading.domain.matching.money import cut, fee_of, part_of, quantity_for, value_of
from nija_trading.domain.matching.terms import FeeSchedule, MarketRules

STOP = -1
"""Takes the place of a level's number in a stop's sale."""

Sale = tuple[int, int, float, int, int, int]
"""(the caller's `at`, number of the level, price, quantity, value, fee); a quantity of 0 is a level that was too
small to sell, and is done."""


def legs(start: float, high: float, low: float, close: float) -> tuple[tuple[float, float], ...]:
    """The path inside a candle as legs (from, to): open, nearer extreme, farther extreme, close.

    The low comes first when both are as near.
    """
    if start - low <= high - start:
        return (start, low), (low, high), (high, close)
    return (start, high), (high, low), (low, close)


def bought(value: int, price: float, rules: MarketRules, taker: float) -> tuple[float, int, int, int]:
    """(price paid, quantity, its worth, fee) of a market order that spends `value` at an open or a mark.

    Whether the venue takes it, and the cash suffices, is the caller's to ask.
    """
    paid = price * (1 + rules.market_cost)
    quantity = quantity_for(value, paid, rules.step)
    worth = value_of(paid, quantity)
    return paid, quantity, worth, fee_of(worth, taker)


def sold(at: int, number: int, quantity: int, price: float, rules: MarketRules, taker: float) -> Sale:
    """A sale at the market: the price moved against the seller by the market order's cost."""
    got = price * (1 - rules.market_cost)
    value = value_of(got, quantity)
    return at, number, got, quantity, value, fee_of(value, taker)


def at_open(
    at: int,
    stop: float | None,
    levels: Sequence[float],
    shares: Sequence[int],
    number: int,
    left: int,
    price: float,
    rules: MarketRules,
    fees: FeeSchedule,
    sales: list[Sale],
) -> int:
    """A candle opens at `price`: the stop, else the levels below it. Adds to `sales`; gives what is left.

    `levels` are the prices of the take-profit levels, the lowest first, `shares` what each sells of what then
    remains, in hundred-millionths; those before `number` are done, and each that is done now adds a sale.
    """
    if stop is not None and price <= stop:
        sales.append(sold(at, STOP, left, price, rules, fees.taker))
        return 0
    return rising(at, levels, shares, number, left, price, price, rules, fees.maker, sales)


def along_path(
    at: int,
    stop: float | None,
    levels: Sequence[float],
    shares: Sequence[int],
    number: int,
    left: int,
    start: float,
    high: float,
    low: float,
    close: float,
    rules: MarketRules,
    fees: FeeSchedule,
    sales: list[Sale],
) -> int:
    """From the open `start`, which has been met, to the close; otherwise as `at_open`."""
    # Where the stop is not reached, or no level is, the order of the extremes does not matter; but for the candle of
    # an entry that was paid so dearly that its stop lies above the open.
    if stop is None or stop < low:
        return rising(at, levels, shares, number, left, start, high, rules, fees.maker, sales)
    if stop < start and (number == len(levels) or levels[number] >= high):
        sales.append(sold(at, STOP, left, stop, rules, fees.taker))
        return 0
    done = len(sales) - number
    for begin, end in legs(start, high, low, close):
        if end >= begin:
            left = rising(at, levels, shares, len(sales) - done, left, begin, end, rules, fees.maker, sales)
            if left == 0:
                return 0
        elif stop >= end:
            sales.append(sold(at, STOP, left, stop if stop < begin else begin, rules, fees.taker))
            return 0
    return left


def rising(
    at: int,
    levels: Sequence[float],
    shares: Sequence[int],
    number: int,
    left: int,
    start: float,
    end: float,
    rules: MarketRules,
    maker: float,
    sales: list[Sale],
) -> int:
    """A leg up to `end`: the levels that the price goes through, the lowest first; otherwise as `at_open`.

    Each sells its share of what remains, cut to the step: nothing where that is too small, all where the rest
    would be.
    """
    for price in levels[number:]:
        if price >= end:
            return left
        if price < start:
            price = start
        share = cut(part_of(left, shares[number]), rules.step)
        value = value_of(price, share)
        if rules.refuses(share, value):
            sales.append((at, number, price, 0, 0, 0))
        else:
            rest = left - share
            if rules.too_small(rest, price):
                value = value_of(price, left)
                sales.append((at, number, price, left, value, fee_of(value, maker)))
                return 0
            sales.append((at, number, price, share, value, fee_of(value, maker)))
            left = rest
        number += 1
    return left
