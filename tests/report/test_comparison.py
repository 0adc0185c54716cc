from __future__ import annotations

import json
import re

import numpy as np
import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report import compare_pair, pair_document, render
from rmtl_bench.statistics import compare

DIRECTIONS = {"auc": True, "logloss": False}


def _values(a=8, b=8):
    rng = np.random.default_rng(0)
    return {"ple/rmtl": rng.normal(0.72, 0.01, a), "esmm/equal": rng.normal(0.7, 0.01, b)}


def _pair(make_scores, **options):
    scores = make_scores(_values(), ("d1", "d2"), ("click", "pay"), ("logloss", "auc"))
    return compare_pair(scores, "ple/rmtl", "esmm/equal", DIRECTIONS, {"auc": 0.001}, **options)


def test_the_two_are_compared_in_every_cell_and_corrected_over_all_of_a_metric(make_scores):
    pair = _pair(make_scores, confidence=0.9)
    assert len(pair.rows) == 8
    values = _values()
    alone = compare(*(dict(enumerate(values[m])) for m in ("ple/rmtl", "esmm/equal")), True, confidence=0.9)
    for row in pair.rows.to_dict("records"):
        assert (row["difference"], row["low"], row["p"]) == pytest.approx((alone.difference, alone.low, alone.p))
        assert row["p_holm"] == pytest.approx(4 * alone.p)


def test_swapping_the_two_turns_every_difference_and_verdict(make_scores):
    scores = make_scores(_values())
    one = compare_pair(scores, "ple/rmtl", "esmm/equal", DIRECTIONS).rows.iloc[0]
    other = compare_pair(scores, "esmm/equal", "ple/rmtl", DIRECTIONS).rows.iloc[0]
    assert one["difference"] == -other["difference"]
    assert (one["verdict"], other["verdict"]) == ("better", "worse")


def test_seeds_of_one_side_alone_are_refused_or_left_out(make_scores):
    scores = make_scores(_values(8, 6))
    with pytest.raises(UsageError, match="seeds on one side alone: 6, 7"):
        compare_pair(scores, "ple/rmtl", "esmm/equal", DIRECTIONS)
    assert compare_pair(scores, "ple/rmtl", "esmm/equal", DIRECTIONS, only_shared=True).rows.loc[0, "n"] == 6


def test_an_unknown_method_is_refused_with_a_hint(make_scores):
    with pytest.raises(UsageError, match="no scores of method 'ple/rmlt'; did you mean 'ple/rmtl'"):
        compare_pair(make_scores(_values()), "ple/rmlt", "esmm/equal", DIRECTIONS)


def test_a_method_is_not_compared_with_itself(make_scores):
    with pytest.raises(UsageError, match="ple/rmtl was to be compared with itself"):
        compare_pair(make_scores(_values()), "ple/rmtl", "ple/rmtl", DIRECTIONS)


def test_methods_without_a_common_cell_are_refused(make_scores):
    scores = make_scores(_values(), ("d1", "d2"))
    apart = scores[(scores["dataset"] == "d1") == (scores["method"] == "ple/rmtl")]
    with pytest.raises(UsageError, match="no data set, task and metric in common"):
        compare_pair(apart, "ple/rmtl", "esmm/equal", DIRECTIONS)


def test_the_document_has_a_section_a_metric_and_shows_those_asked_for(make_scores):
    pair = _pair(make_scores)
    assert [s.title.split()[0] for s in pair_document(pair, ["auc", "logloss"]).sections] == ["auc", "logloss"]
    document = pair_document(pair, ["auc"])
    (section,) = document.sections
    assert section.title == "auc (higher is better)"
    assert [row[:2] for row in section.rows] == [("d1", "click"), ("d1", "pay"), ("d2", "click"), ("d2", "pay")]
    text = render(document, "table")
    assert text.startswith("A: ple/rmtl, B: esmm/equal\n")
    assert re.search(r"d1 +click +0\.\d{5} +0\.\d{5} +8 +\+0\.0\d{4} ± 0\.\d{5} ", text)
    assert len(json.loads(render(document, "json"))["comparison"]) == 8
