"""Curves in a line of text."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtl_bench.report.sparkline import ASCII_BLOCKS, BLOCKS, LONGEST, sparkline, sparklines

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([7, 0], "█▁"),
        ([1, 2], "▁█"),
        ([-3, NAN, 3], "▁ █"),
        ([1, INF, 2, -INF], "▁ █ "),
        ([NAN, NAN], "  "),
        ([0.7, 0.7, 0.7], "▄▄▄"),
        ([0.0, 0.0], "▄▄"),
        ([5.0], "▄"),
        ([1e308, -1e308], "█▁"),
        ([0.1 + 0.2, 0.3], "▄▄"),
        ([5e-324, 0.0], "█▁"),
    ],
)
def test_a_curve_goes_from_its_lowest_value_to_its_highest(values, line):
    assert sparkline(values) == line


def test_the_fallback_says_the_same_in_ascii():
    assert sparkline(range(8), ascii=True) == ASCII_BLOCKS
    assert sparkline([1.0, NAN, 1.0], ascii=True) == ": :"
    assert sparklines([[0, 1], [1]], ascii=True) == "_#|#"


def test_a_long_curve_is_averaged_into_forty_characters():
    pairs = np.repeat(np.arange(LONGEST), 2) + np.tile([-0.25, 0.25], LONGEST)
    assert sparkline(pairs) == sparkline(np.arange(LONGEST))
    assert len(sparkline(range(LONGEST))) == LONGEST
    # One gap in a pair is passed over, two are a gap.
    pairs[0] = NAN
    pairs[4:6] = NAN
    assert sparkline(pairs)[:4] == "▁▁ ▁"


def test_parts_have_one_scale_and_a_bar_between_them():
    assert sparklines([[0, 1], [2, 3], []]) == "▁▃│▆█"
    assert sparklines([[NAN], [1]]) == " │▄"
    assert sparklines([]) == sparklines([[], []]) == ""


def test_long_parts_keep_their_shares_and_none_is_lost():
    line = sparklines([np.zeros(300), np.ones(100), [0.5]])
    assert [len(part) for part in line.split("│")] == [30, 10, 1]


@given(st.lists(st.floats(width=64), max_size=200), st.booleans())
def test_any_numbers_give_a_line_of_blocks_and_gaps(values, plain):
    line = sparkline(values, plain)
    assert len(line) == min(len(values), LONGEST)
    assert set(line) <= {*(ASCII_BLOCKS if plain else BLOCKS), " "}


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=LONGEST))
def test_a_higher_value_has_no_lower_block(values):
    line = sparkline(values)
    order = np.argsort(values, kind="stable")
    levels = [BLOCKS.index(line[place]) for place in order]
    assert levels == sorted(levels)
