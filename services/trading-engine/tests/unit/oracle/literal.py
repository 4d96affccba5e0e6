"""A slow, literal second reading of the strategy page: plain Python, floats, one candle after the other.

Written from the rules alone. It shares nothing with the engine, so that the two can be held against each
other: no vectors, no integers of 1e-8, no pure states; indicators are computed anew from their windows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

HOUR = 3_600_000
DAY = 24 * HOUR

Row = tuple[int, float, float, float, float, float]  # opening ms, open, high, low, close, volume


@dataclass
class Options:
    """Everything the rules leave open, as plain numbers; None is "no limit" or "unknown"."""

    timeframe: int
    taker: float = 0.006
    maker: float = 0.004
    slip: float = 0.0005
    tick: float | None = None
    step: float = 1e-8
    least_cost: float = 1.0
    least_quantity: float = 0.0
    size_factor: float = 1.0
    least_score: int = 3
    least_adx: float = 20.0
    exposure: float = 0.60
    daily_loss: float = 0.03
    drawdown: float = 0.15
    max_value: float | None = None
    max_positions: int | None = None
    max_trades: int | None = None
    max_daily_loss: float | None = None
    gross: bool = False
    streak: int = 5
    week_half: float = 0.08
    week_stop: float = 0.10
    hard_value: float = 10_000.0


@dataclass
class Position:
    symbol: str
    opened_at: int
    entry: float
    bought: float
    quantity: float
    paid: float
    stop: float
    levels: list[tuple[float, float]]
    armed: bool = False
    best: float = 0.0
    got: float = 0.0
    fees: float = 0.0
    exits: list[tuple[int, float, float, str]] = field(default_factory=list)


@dataclass
class Seen:
    """What the page calls indicators, of one candle."""

    ema9: float
    ema21: float
    ema50: float
    rsi: float
    atr: float
    adx: float
    hist: float
    vwap: float
    v2: float
    v5: float
    v20: float


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def look(rows: list[Row]) -> list[Seen]:
    """The indicators of every candle of a feed."""
    close = [row[4] for row in rows]
    volume = [row[5] for row in rows]
    e9, e21, e50, e12, e26 = (smooth(close, n) for n in (9, 21, 50, 12, 26))
    macd = [a - b for a, b in zip(e12, e26, strict=True)]
    signal = smooth(macd, 9)
    ranges, ups, downs = [], [], []
    for i, (_, _, high, low, _, _) in enumerate(rows):
        if i == 0:
            ranges.append(high - low)
            ups.append(0.0)
            downs.append(0.0)
            continue
        before = rows[i - 1]
        ranges.append(max(high - low, abs(high - before[4]), abs(low - before[4])))
        up, down = high - before[2], before[3] - low
        ups.append(up if up > 0 and up >= down else 0.0)
        downs.append(down if down > 0 and down > up else 0.0)
    seen: list[Seen] = []
    dxs: list[float] = []
    for i in range(len(rows)):
        moves = [close[k] - close[k - 1] for k in range(max(1, i - 13), i + 1)]
        gain = sum(move for move in moves if move > 0)
        loss = sum(-move for move in moves if move < 0)
        unmoved = 50.0 if gain == 0 else 100.0
        rsi = 100 - 100 / (1 + gain / loss) if loss else unmoved
        last = slice(max(0, i - 13), i + 1)
        span = mean(ranges[last])
        plus = 100 * mean(ups[last]) / span if span else 0.0
        minus = 100 * mean(downs[last]) / span if span else 0.0
        dxs.append(100 * abs(plus - minus) / (plus + minus) if plus + minus else 0.0)
        window = rows[max(0, i - 99) : i + 1]
        weight = sum(row[5] for row in window)
        typical = sum((row[2] + row[3] + row[4]) / 3 * row[5] for row in window)
        seen.append(
            Seen(
                e9[i],
                e21[i],
                e50[i],
                rsi,
                span,
                mean(dxs[max(0, i - 13) : i + 1]),
                macd[i] - signal[i],
                typical / weight if weight else close[i],
                over(volume[i], mean(volume[max(0, i - 2) : i])),
                over(volume[i], mean(volume[max(0, i - 4) : i + 1])),
                over(volume[i], mean(volume[max(0, i - 19) : i + 1])),
            )
        )
    return seen


def smooth(values: list[float], n: int) -> list[float]:
    out = [values[0]]
    for value in values[1:]:
        out.append(2 / (n + 1) * value + (1 - 2 / (n + 1)) * out[-1])
    return out


def over(a: float, b: float) -> float:
    return a / b if b else 0.0


def above(a: float, b: float, tie: float) -> bool:
    return a - b > tie


def not_below(a: float, b: float, tie: float) -> bool:
    return a - b >= -tie


class Signal:
    """Direction, scores, trend break and smart filter of one candle, by the words of the page."""

    def __init__(self, rows: list[Row], seen: list[Seen], i: int, o: Options) -> None:
        now, was, price = seen[i], seen[i - 1], rows[i][4]
        tie, osc, vol = 1e-9 * price, 1e-7, 1e-9
        self.smart = not_below(now.v20, 0.25, vol)
        self.direction = ""
        gate = not_below(now.adx, o.least_adx, osc) and not_below(now.v5, 0.50, vol)
        longs = shorts = 0
        if above(price, now.vwap, tie):
            longs += 1
        if above(now.vwap, price, tie):
            shorts += 1
        if above(now.ema9, now.ema21, tie) and above(now.ema21, now.ema50, tie):
            longs += 1
        if above(now.ema21, now.ema9, tie) and above(now.ema50, now.ema21, tie):
            shorts += 1
        if above(now.hist, 0, tie):
            longs += 1
        if above(0, now.hist, tie):
            shorts += 1
        if above(now.adx, 20, osc):
            longs, shorts = longs + 1, shorts + 1
        if not_below(now.v5, 0.50, vol):
            longs, shorts = longs + 1, shorts + 1
        if gate and longs > shorts and longs >= 3:
            self.direction = "long"
        if gate and shorts > longs and shorts >= 3:
            self.direction = "short"
        self.long, self.short = self.score(rows, seen, i)
        self.broken = not_below(was.ema9, was.ema21, 1e-9 * rows[i - 1][4]) and above(now.ema21, now.ema9, tie)
        self.atr = now.atr

    def score(self, rows: list[Row], seen: list[Seen], i: int) -> tuple[int, int]:
        now, was = seen[i], seen[i - 1]
        _, op, hi, lo, cl, _ = rows[i]
        _, pop, _, _, pcl, _ = rows[i - 1]
        tie = 1e-9 * cl
        long = short = 0
        if any(not_below(0.005 * ref, abs(cl - ref), tie) for ref in (now.ema21, now.vwap)):
            long, short = long + 1, short + 1
        if not_below(now.rsi, 25, 1e-7) and not_below(45, now.rsi, 1e-7) and above(now.rsi, was.rsi, 1e-7):
            long += 1
        if not_below(now.rsi, 55, 1e-7) and not_below(75, now.rsi, 1e-7) and above(was.rsi, now.rsi, 1e-7):
            short += 1
        hammer = cl > op and op - lo > 2 * (cl - op) and op - lo > 0.6 * (hi - lo)
        star = cl < op and hi - op > 2 * (op - cl) and hi - op > 0.6 * (hi - lo)
        if (pcl < pop and op < pcl and cl > pop) or hammer:
            long += 1
        if (pcl > pop and op > pcl and cl < pop) or star:
            short += 1
        if above(now.hist, was.hist, tie):
            long += 1
        if above(was.hist, now.hist, tie):
            short += 1
        if not_below(now.v2, 0.60, 1e-9):
            long, short = long + 1, short + 1
        return long, short


class Oracle:
    """One account, its symbols, and the candles in the order of their closes."""

    def __init__(self, feeds: dict[str, list[Row]], cash: float, options: Options) -> None:
        self.feeds, self.o, self.cash, self.start = feeds, options, cash, cash
        self.seen = {symbol: look(rows) for symbol, rows in feeds.items()}
        self.positions: dict[str, Position] = {}
        self.buys: dict[str, tuple[float, float]] = {}
        self.sells: dict[str, str] = {}
        self.marks: dict[str, float] = {}
        self.trades: list[Position] = []
        self.day = self.week = -1
        self.equity = self.day_base = self.week_base = self.peak = cash
        self.paused_days: set[int] = set()
        self.paused_weeks: set[int] = set()
        self.stopped = False
        self.lost = 0
        self.entries: dict[int, int] = {}

    def run(self) -> list[Position]:
        index = {s: {r[0] + self.o.timeframe: i for i, r in enumerate(rows)} for s, rows in self.feeds.items()}
        for close in sorted({time for found in index.values() for time in found}):
            here = {s: found[close] for s, found in index.items() if close in found}
            for symbol, i in here.items():
                self.opening(symbol, self.feeds[symbol][i])
            for symbol, i in here.items():
                self.inside(symbol, self.feeds[symbol][i])
                self.marks[symbol] = self.feeds[symbol][i][4]
            self.closing(here)
        return self.trades

    # -- fills -------------------------------------------------------------------------------------------

    def opening(self, symbol: str, row: Row) -> None:
        at, price = row[0], row[1]
        held = self.positions.get(symbol)
        if held and price <= held.stop:
            self.stop_out(held, at, price)
            held = None
        while held and held.levels and price > held.levels[0][0]:
            held = self.take(held, at, price)
        reason = self.sells.pop(symbol, None)
        if held and reason:
            self.sell(held, at, price * (1 - self.o.slip), held.quantity, self.o.taker, reason)
        if symbol in self.buys:
            self.buy(symbol, at, price * (1 + self.o.slip), *self.buys.pop(symbol))

    def inside(self, symbol: str, row: Row) -> None:
        at, op, hi, lo, _, _ = row
        for extreme in ("low", "high") if op - lo <= hi - op else ("high", "low"):
            held = self.positions.get(symbol)
            if held and extreme == "low" and lo <= held.stop:
                self.stop_out(held, at, min(op, held.stop))
            while held and extreme == "high" and held.levels and hi > held.levels[0][0]:
                held = self.take(held, at, held.levels[0][0])

    def buy(self, symbol: str, at: int, price: float, value: float, atr: float) -> None:
        o = self.o
        quantity = self.cut(value / price)
        if self.small(quantity, price) or quantity * price * (1 + o.taker) > self.cash + 1e-9:
            return
        self.cash -= quantity * price * (1 + o.taker)
        distance = min(max(1.5 * atr, 0.005 * price), 0.02 * price)
        stop = price - distance
        net = 1.0 if o.gross else (1 + o.taker) / (1 - o.maker)
        levels = [price * net * (1 + gain) for gain in (0.005, 0.01, 0.02, 0.03)]
        if o.tick:
            stop = math.floor(stop / o.tick + 1e-9) * o.tick
            levels = [math.ceil(level / o.tick - 1e-9) * o.tick for level in levels]
        held = Position(symbol, at, price, quantity, quantity, quantity * price * (1 + o.taker), stop, [])
        held.levels = list(zip(levels, (0.10, 0.15, 0.25, 0.50), strict=True))
        held.fees = quantity * price * o.taker
        self.positions[symbol] = held
        self.entries[at // DAY] = self.entries.get(at // DAY, 0) + 1

    def stop_out(self, held: Position, at: int, price: float) -> None:
        reason = "trailing_stop" if held.armed else "stop_loss"
        self.sell(held, at, price * (1 - self.o.slip), held.quantity, self.o.taker, reason)

    def take(self, held: Position, at: int, price: float) -> Position | None:
        _, share = held.levels.pop(0)
        quantity = self.cut(held.quantity * share)
        if self.small(quantity, price):
            return held
        if self.small(held.quantity - quantity, price):
            quantity = held.quantity
        self.sell(held, at, price, quantity, self.o.maker, "take_profit")
        return self.positions.get(held.symbol)

    def sell(self, held: Position, at: int, price: float, quantity: float, rate: float, reason: str) -> None:
        self.cash += quantity * price * (1 - rate)
        held.got += quantity * price * (1 - rate)
        held.fees += quantity * price * rate
        held.exits.append((at, price, quantity, reason))
        held.quantity -= quantity
        if held.quantity > self.o.step / 2:
            return
        del self.positions[held.symbol]
        self.trades.append(held)
        self.lost = self.lost + 1 if held.got - held.paid < -5e-9 else 0
        if self.lost == self.o.streak:
            self.lost = 0
            self.paused_days.add(at // DAY)

    def cut(self, quantity: float) -> float:
        return math.floor(quantity / self.o.step + 1e-7) * self.o.step

    def small(self, quantity: float, price: float) -> bool:
        o = self.o
        return quantity < o.step / 2 or quantity < o.least_quantity - 1e-12 or quantity * price < o.least_cost - 5e-9

    # -- the close ---------------------------------------------------------------------------------------

    def closing(self, here: dict[str, int]) -> None:
        o = self.o
        at = next(self.feeds[s][i][0] for s, i in here.items())
        equity = self.cash + sum(p.quantity * self.marks[p.symbol] for p in self.positions.values())
        day, week = at // DAY, (at // DAY + 3) // 7
        if day != self.day:
            self.day, self.day_base = day, self.equity
        if week != self.week:
            self.week, self.week_base = week, self.equity
        self.equity = equity
        self.peak = max(self.peak, equity)
        lost = self.day_base - equity
        if lost >= o.daily_loss * self.day_base or (o.max_daily_loss and lost >= o.max_daily_loss):
            self.paused_days.add(day)
        if self.week_base - equity >= o.week_stop * self.week_base:
            self.paused_weeks.add(week)
        if self.peak - equity >= o.drawdown * self.peak:
            self.stopped = True
        signals = {s: Signal(self.feeds[s], self.seen[s], i, o) for s, i in here.items() if i >= 99}
        for symbol in here:
            if symbol in self.positions:
                self.manage(self.positions[symbol], self.feeds[symbol][here[symbol]], signals[symbol])
        if self.stopped or day in self.paused_days or week in self.paused_weeks:
            return
        half = self.week_base - equity >= o.week_half * self.week_base
        for symbol, signal in signals.items():
            self.enter(symbol, signal, equity, 0.5 if half else 1.0, day)

    def manage(self, held: Position, row: Row, signal: Signal) -> None:
        held.best = max(held.best, row[4])
        if row[2] >= held.entry * 1.01:
            held.armed = True
        if held.armed:
            trail = max(held.entry, held.best - 1.5 * signal.atr)
            if self.o.tick:
                trail = math.floor(trail / self.o.tick + 1e-9) * self.o.tick
            held.stop = max(held.stop, trail)
        if held.symbol in self.sells:
            return
        if signal.direction == "short" and signal.short >= self.o.least_score:
            self.sells[held.symbol] = "opposite_signal"
        elif signal.broken:
            self.sells[held.symbol] = "trend_break"
        elif row[0] - held.opened_at >= 48 * HOUR:
            self.sells[held.symbol] = "max_hold"

    def enter(self, symbol: str, signal: Signal, equity: float, week: float, day: int) -> None:
        o = self.o
        if not signal.smart or signal.direction != "long" or signal.long < o.least_score:
            return
        if symbol in self.positions or symbol in self.buys:
            return
        if o.max_trades is not None and self.entries.get(day, 0) + len(self.buys) >= o.max_trades:
            return
        if o.max_positions is not None and len(self.positions) + len(self.buys) >= o.max_positions:
            return
        coming = sum(value for value, _ in self.buys.values())
        room = o.exposure * equity - coming
        room -= sum(p.quantity * self.marks[p.symbol] for p in self.positions.values())
        if room < 0.02 * equity:
            return
        value = min(equity * signal.long / 100 * o.size_factor * week, room, 0.10 * equity, o.hard_value)
        if o.max_value is not None:
            value = min(value, o.max_value)
        price = self.marks[symbol] * (1 + o.slip)
        quantity = self.cut(value / price)
        stop = price - min(max(1.5 * signal.atr, 0.005 * price), 0.02 * price)
        if self.small(quantity, price) or self.small(quantity, stop) or value < o.least_cost:
            return
        if value * (1 + o.taker) > self.cash - coming * (1 + o.taker):
            return
        self.buys[symbol] = (value, signal.atr)
