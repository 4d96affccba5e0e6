"""The report: whole HTML that needs nothing else, safe against any text, bounded, and true to the run."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import Result

from nija_cli.backtest.charts import MOST_POINTS, Scale, distribution, thinned, time_ticks, value_ticks

Nija = Callable[..., Result]
VOID = {"meta"}


class Tree(HTMLParser):
    """Checks that every element ends where it should; keeps texts and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(page: str) -> Tree:
    tree = Tree()
    tree.feed(page)
    tree.close()
    assert tree.open == []
    return tree


@pytest.fixture
def page(nija: Nija, candle_file: Callable[..., Path]) -> str:
    path = candle_file("x_1h.csv", count=4_000)
    args = ("--symbol", "<script>alert(1)</script>&\"'", "--strategy", "ema_cross", "--html", "-")
    return nija("backtest", "--candles", path, *args).stdout


def test_it_is_sound_html_that_escapes_and_reaches_nothing_else(page: str) -> None:
    tree = parsed(page)
    names = [tag for tag, _ in tree.seen]
    assert "script" not in names
    assert "<script>alert(1)</script>&\"'" in "".join(tree.text)
    for tag, attributes in tree.seen:
        assert not {"src", "href", "onload", "onerror"} & set(attributes), tag
    assert "http" not in re.sub(r'http-equiv="[^"]*"', "", page)
    assert "default-src 'none'" in page
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in tree.seen


def test_drawings_have_titles_and_tables_have_heads(page: str) -> None:
    tree = parsed(page)
    drawings = [attributes for tag, attributes in tree.seen if tag == "svg"]
    assert len(drawings) == 4
    ids = {attributes["id"] for _, attributes in tree.seen if "id" in attributes}
    assert all(set((drawing["aria-labelledby"] or "").split()) <= ids for drawing in drawings)
    assert names_of(tree).count("h2") == 8
    assert {attributes.get("scope") for tag, attributes in tree.seen if tag == "th"} == {"row", "col"}


def names_of(tree: Tree) -> list[str]:
    return [tag for tag, _ in tree.seen]


def test_its_size_is_bounded(nija: Nija, candle_file: Callable[..., Path]) -> None:
    path = candle_file(count=20_000)
    args = ("--strategy", "ema_cross", "--fee", "0", "--param", "fast=1", "--param", "slow=2", "--html", "-")
    page = nija("backtest", "--candles", path, *args).stdout
    tree = parsed(page)
    assert len(page) < 1_000_000
    assert names_of(tree).count("tr") < 1_200
    assert "earlier ones are in the JSON" in page
    points = [attributes["points"] or "" for tag, attributes in tree.seen if tag == "polyline"]
    assert all(len(text.split()) <= MOST_POINTS for text in points)


@given(st.lists(st.floats(-1e6, 1e6), min_size=60, max_size=300), st.integers(10, 80))
@settings(max_examples=60, deadline=None)
def test_a_thinned_curve_keeps_its_ends_and_extremes(values: list[float], most: int) -> None:
    curve = np.array(values)
    kept = thinned(curve, most)
    assert len(kept) <= most or len(curve) <= most
    assert (kept[0], kept[-1]) == (0, len(curve) - 1)
    assert curve[kept].min() == curve.min()
    assert curve[kept].max() == curve.max()


@given(st.lists(st.floats(-90, 900), min_size=1, max_size=80))
@settings(max_examples=60, deadline=None)
def test_a_distribution_counts_every_trade_on_its_side_of_zero(values: list[float]) -> None:
    bars, _ = distribution(np.array(values))
    assert sum(bar.count for bar in bars) == len(values)
    assert all(bar.low >= -1e-9 or bar.high <= 1e-9 for bar in bars)


@given(st.floats(-1e7, 1e7), st.floats(1e-6, 1e7))
@settings(max_examples=60, deadline=None)
def test_axes_have_few_round_marks_in_order(low: float, span: float) -> None:
    ticks = value_ticks(Scale(low, low + span, 260.0, 0.0))
    assert 1 <= len(ticks) <= 6
    assert sorted(ticks, key=lambda tick: -tick[0]) == ticks


@pytest.mark.parametrize("days", [1, 3, 59, 61, 400, 2_000, 9_000])
def test_time_axes_have_few_marks(days: int) -> None:
    start = 1_514_764_800_000
    assert 1 <= len(time_ticks(Scale(start, start + days * 86_400_000, 0.0, 1000.0))) <= 8
