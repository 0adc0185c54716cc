from __future__ import annotations

import numpy as np
import pytest

from rmtl_bench.report import LeaderboardSettings
from rmtl_bench.report.figures.highlights import MOST, find_highlights
from rmtl_bench.report.figures.panels import shortened, span, text_width
from rmtl_bench.report.figures.report_figure import slug
from rmtl_bench.statistics import Family

MANY = [f"ple/w{number}" for number in range(20)]


def _settings(*families, reference=None):
    return LeaderboardSettings("t", {}, reference=reference, families=families)


def test_named_weightings_are_highlighted_the_reference_first():
    declared = _settings(Family("f", ("*/w7",), ("*/w5",)), reference=Family("r", ("*",), ("*/w9",)))
    found = find_highlights(declared, MANY)
    assert list(found.looks) == ["w9", "w5", "w7"]
    assert (found.references, found.others) == (("w9",), True)


def test_a_pattern_for_everything_names_nobody():
    assert find_highlights(_settings(Family("f", ("*/*",), ("*",))), MANY).looks == {}


def test_a_pattern_for_some_names_them_but_never_more_than_there_are_colours():
    assert list(find_highlights(_settings(Family("f", ("*/w1?",), ("*/w1",))), MANY).looks) == [
        *("w1", "w10", "w11", "w12", "w13", "w14", "w15", "w16")
    ]
    assert MOST == 8


def test_few_weightings_are_all_in_colour():
    found = find_highlights(_settings(), MANY[:8])
    assert (len(found.looks), found.others) == (8, False)


def test_a_long_name_is_cut_but_keeps_its_number():
    text = shortened("a-very-long-candidate-17", 1.0)
    assert text.endswith("…17")
    assert text_width(text) <= 1.0
    assert shortened("short", 1.0) == "short"
    assert text_width("点点") == 2 * text_width("ab")


@pytest.mark.parametrize(("values", "inside"), [([0.7, 0.71, 0.72], 0.715), ([0.7], 0.7), ([0.0, 0.0], 0.0)])
def test_limits_hold_the_values_with_air(values, inside):
    low, high = span(values)
    assert low < min(values) <= inside <= max(values) < high


def test_limits_are_not_stretched_by_a_value_far_away_nor_by_none():
    low, high = span([*np.linspace(0.69, 0.71, 20), 0.1, np.nan])
    assert (low > 0.6, high < 0.8) == (True, True)
    assert span([]) == span([np.nan]) == (0.0, 1.0)


def test_a_slug_has_letters_digits_and_hyphens_alone():
    assert slug("cells", "A & b", "<x>/y", "点") == "cells-a-b-x-y-x"
