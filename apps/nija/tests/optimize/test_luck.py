"""A search of noise finds something that looks good, and says that it is luck; what is really there it does not deny."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nija_cli.optimize.axes import Point
from nija_cli.optimize.deflated import ENOUGH, Moments, deflated_sharpe_ratio
from nija_cli.optimize.evidence import evidence_of
from nija_cli.optimize.walk_forward import best_of, sides, walked
from nija_cli.optimize.work import Record, Task, Work
from nija_trading.domain.market.candles import Candles

Walks = Callable[..., Candles]
Tasks = Callable[..., Task]
POINTS = [(fast, slow) for fast in ("2", "4", "8", "16") for slow in ("20", "40", "80", "150")]
LEAST = 30

COINS = """
import numpy as np
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class Coins:
    name: ClassVar[str] = "coins"
    seed: int = 1

    def targets(self, candles):
        tossed = np.random.default_rng(self.seed).random(10_000)[: len(candles)]
        return np.where(tossed < 0.1, 1, np.where(tossed > 0.9, -1, 0))
"""


def searched(task: Task, points: Sequence[Point] = POINTS) -> tuple[list[Record], Record]:
    work = Work(task)
    return [work.record(point) for point in points], work.record(None)


def test_noise_is_shown_as_noise(random_walk: Walks, make_task: Tasks) -> None:
    """20 markets without any pattern and without costs, trials that resemble each other. 1 in 20 is what 0.95 allows."""
    claimed = claimed_walking = 0
    for seed in range(20):
        task = make_task(random_walk(seed, 4_000), ("fast", "slow"), train=80, test=40)
        trials, default = searched(task)
        wholes = [trial.whole for trial in trials]
        best = best_of(wholes, LEAST)
        assert best is not None
        claimed += evidence_of(wholes, wholes[best], None, LEAST).sufficient
        walk = sides(walked(task.windows, trials, default, LEAST))
        claimed_walking += evidence_of(wholes, wholes[best], walk[1:], LEAST).sufficient
    assert claimed <= 2
    assert claimed_walking <= 2


def test_the_best_of_many_coins_is_not_believed(tmp_path: Path, random_walk: Walks, make_task: Tasks) -> None:
    """Trials that have nothing to do with each other: undeflated, the best of them would be believed far too often."""
    path = tmp_path / "coins.py"
    path.write_text(COINS)
    naive = claimed = 0
    for seed in range(20):
        task = make_task(random_walk(seed, 3_000), ("seed",), str(path))
        trials, _ = searched(task, [(str(1 + 40 * seed + number),) for number in range(40)])
        wholes = [trial.whole for trial in trials]
        best = best_of(wholes, LEAST)
        assert best is not None
        naive += deflated_sharpe_ratio(Moments.of(wholes[best].daily), 0.0, 1) >= ENOUGH
        claimed += evidence_of(wholes, wholes[best], None, LEAST).sufficient
    assert naive >= 5
    assert claimed <= 2


def test_a_market_that_really_trends_is_not_called_luck(random_walk: Walks, make_task: Tasks) -> None:
    """And yet what does not beat the parameters as given, out of sample, is no reason to change them."""
    market = random_walk(3, 9_000, drift=0.002)
    task = make_task(market, ("fast", "slow"), params=("fast=2", "slow=3"), train=60, test=20)
    trials, default = searched(task)
    wholes = [trial.whole for trial in trials]
    _, chosen, given = sides(walked(task.windows, trials, default, 10))
    evidence = evidence_of(wholes, wholes[0], (chosen, given), 10)
    assert evidence.sufficient, evidence
    assert evidence.trials == 16
    assert evidence.words.startswith("There is evidence")
    beaten = evidence_of(wholes, wholes[0], (chosen, chosen), 10)
    assert beaten.dsr == evidence.dsr
    assert not beaten.sufficient
    assert "out of sample the defaults did" in beaten.words


def test_luck_is_said_in_words(random_walk: Walks, make_task: Tasks) -> None:
    trials, _ = searched(make_task(random_walk(1, 3_000), ("fast", "slow")))
    wholes = [trial.whole for trial in trials]
    words = evidence_of(wholes, wholes[5], None, LEAST).words
    assert words.startswith("Evidence is insufficient (below 0.95): the Deflated Sharpe Ratio of the best trial is 0.")
    assert "16 trials" in words
    assert words.endswith("Keep the defaults.")
    none = evidence_of(wholes, None, None, 10_000)
    assert (none.dsr, none.sufficient) == (0.0, False)
    assert "none of 16 trials had the 10000 trades" in none.words
