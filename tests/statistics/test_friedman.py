from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.frames import SCORE_COLUMNS
from rmtl_bench.statistics.friedman import friedman, pairwise_signed_rank, stretches
from rmtl_bench.statistics.multiplicity import holm

UP = {"auc": True, "logloss": False}

# Table 6 of Demšar 2006 (Statistical Comparisons of Classifiers over Multiple Data Sets): AUC of C4.5 without and with
# tuned m, cf, or both. He ranks the two that he prints as 0.975 as different; so are they here.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
NAMES = ["c45/plain", "c45/m", "c45/cf", "c45/m-cf"]


def _scores(values, names=None, metric="auc", tasks=("t",), seeds=1, prefix="d"):
    """A frame from [blocks, methods]: the same in every task and seed, up to an offset that averages out."""
    names = names or [f"b/{m}" for m in range(values.shape[1])]
    rows = [
        (f"{prefix}{i:02}", *name.split("/"), name, task, metric, seed, value + 0.01 * (seed - (seeds - 1) / 2))
        for i, row in enumerate(values.tolist())
        for name, value in zip(names, row, strict=True)
        for task in tasks
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=SCORE_COLUMNS)


def _random(blocks=10, methods=4, shift=0.0):
    rng = np.random.default_rng(0)
    return rng.normal(0.7, 0.01, (blocks, methods)) + shift * np.arange(methods)


def test_the_average_ranks_are_those_of_demsars_table():
    found = friedman(_scores(DEMSAR, NAMES), "auc", UP)
    assert found.average_ranks.round(3).to_dict() == {
        "c45/m-cf": 1.964,
        "c45/m": 2.000,
        "c45/cf": 2.893,
        "c45/plain": 3.143,
    }
    assert found.methods == tuple(found.average_ranks.index) == tuple(found.pairwise.index)
    # He reports 9.28, without a correction for ties; with it, the statistic is larger.
    ranks = found.average_ranks.to_numpy()
    assert 12 * 14 / (4 * 5) * (np.square(ranks).sum() - 4 * 25 / 4) == pytest.approx(9.28, abs=0.01)
    theirs = stats.friedmanchisquare(*DEMSAR.T)
    assert (found.statistic, found.p) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert len(found.blocks) == 14


def test_pairs_are_wilcoxons_adjusted_by_holm():
    values = _random(shift=0.004)
    found = friedman(_scores(values), "auc", UP)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    expected = holm(np.array([stats.wilcoxon(values[:, i], values[:, j]).pvalue for i, j in pairs]))
    for (i, j), p in zip(pairs, expected, strict=True):
        assert found.pairwise.loc[f"b/{i}", f"b/{j}"] == found.pairwise.loc[f"b/{j}", f"b/{i}"] == pytest.approx(p)


def test_the_matrix_is_that_of_scikit_posthocs():
    posthocs = pytest.importorskip("scikit_posthocs")
    values = _random(12, 5, 0.005)
    theirs = posthocs.posthoc_wilcoxon(values.T, p_adjust="holm")
    assert pairwise_signed_rank(values) == pytest.approx(theirs.to_numpy())


def test_blocks_without_a_difference_are_dropped_and_a_pair_without_any_is_not_told_apart():
    values = _random(10, 3)
    values[:4, 1] = values[:4, 0]
    values[:, 2] = values[:, 0]
    table = pairwise_signed_rank(values)
    p = stats.wilcoxon(values[4:, 0], values[4:, 1]).pvalue
    assert table[0, 2] == 1.0
    assert table[0, 1] == table[1, 2] == pytest.approx(min(1.0, 3 * p))


def test_lower_is_better_where_it_is():
    values = _random(shift=0.01)
    up = friedman(_scores(values), "auc", UP)
    down = friedman(_scores(-values + 2, metric="logloss"), "logloss", UP)
    assert up.methods == down.methods == ("b/3", "b/2", "b/1", "b/0")
    assert (up.statistic, up.p) == pytest.approx((down.statistic, down.p))


def test_seven_data_sets_are_too_few_however_many_seeds_and_tasks():
    found = friedman(_scores(_random(7), tasks=("a", "b"), seeds=5), "auc", UP)
    assert found.reason == "7 independent blocks; 8 are needed"
    assert math.isnan(found.p)
    assert (len(found.average_ranks), len(found.pairwise), found.groups) == (0, 0, ())
    assert friedman(_scores(_random(1)), "auc", UP).reason == "1 independent block; 8 are needed"
    assert friedman(_scores(_random(7)), "auc", UP, min_blocks=7).reason == ""


def test_two_methods_are_too_few():
    assert friedman(_scores(_random(9, 2)), "auc", UP).reason == "2 complete methods; 3 are needed"


def test_a_block_is_the_mean_over_tasks_and_seeds():
    values = _random()
    once, often = (friedman(_scores(values, **kinds), "auc", UP) for kinds in ({}, {"tasks": ("a", "b"), "seeds": 3}))
    assert (once.statistic, once.p) == pytest.approx((often.statistic, often.p))
    assert once.groups == often.groups
    two = pd.concat([_scores(values, tasks=("a",)), _scores(values[:, ::-1], tasks=("b",))])
    # The tasks say the opposite: their means tell nobody apart who stands in the mirror.
    mixed = friedman(two, "auc", UP)
    assert mixed.pairwise.loc["b/0", "b/3"] == mixed.pairwise.loc["b/1", "b/2"] == 1.0
    assert friedman(two, "auc", UP, task="b").average_ranks["b/0"] == once.average_ranks["b/3"]


def test_an_incomplete_method_is_left_out_or_its_block_is():
    scores = _scores(_random(9), seeds=2)
    gone = (scores["method"] == "b/1") & (scores["dataset"] == "d04") & (scores["seed"] == 1)
    found = friedman(scores[~gone], "auc", UP)
    assert (found.left_out, len(found.blocks)) == (("b/1",), 9)
    assert set(found.methods) == {"b/0", "b/2", "b/3"}
    found = friedman(scores[~gone], "auc", UP, incomplete="exclude-cell")
    assert (found.left_out, len(found.blocks), len(found.methods)) == ((), 8, 4)
    assert "d04" not in found.blocks


def test_methods_that_are_told_apart_are_in_no_common_group():
    values = _random(12, 4) + np.array([0, 0, 0.1, 0.1])
    found = friedman(_scores(values), "auc", UP)
    assert {frozenset(group) for group in found.groups} == {frozenset({"b/2", "b/3"}), frozenset({"b/0", "b/1"})}
    assert found.note == ""


def test_without_friedmans_p_no_pair_is_told_apart():
    found = friedman(_scores(_random(12, 4)), "auc", UP)
    assert found.p >= 0.05
    assert found.groups == (found.methods,)


def test_the_note_says_when_no_pair_can_be_told_apart():
    # 2 / 2^8 > 0.05 / 10, but 2 / 2^9 is smaller.
    found = friedman(_scores(_random(8, 5)), "auc", UP)
    assert found.note == "n too small: 9 blocks are needed to tell any of 10 pairs apart, not 8"
    assert friedman(_scores(_random(9, 5)), "auc", UP).note == ""


def test_methods_that_always_tie_have_p_1():
    found = friedman(_scores(np.full((8, 3), 0.7)), "auc", UP)
    assert (found.statistic, found.p) == (0.0, 1.0)
    assert found.average_ranks.tolist() == [2.0, 2.0, 2.0]


def test_differences_of_rounding_are_ties():
    values = np.repeat(_random(8, 1), 3, axis=1)
    values[:, 1] += 1e-16
    values[:, 2] -= 1e-16
    assert friedman(_scores(values), "auc", UP).p == 1.0


def test_unknown_names_are_refused():
    scores = _scores(_random(8), tasks=("click", "pay"))
    with pytest.raises(UsageError, match="no scores of task 'clik'; did you mean 'click'"):
        friedman(scores, "auc", UP, task="clik")
    with pytest.raises(UsageError, match="no scores of metric 'logloss'"):
        friedman(scores, "logloss", UP)
    with pytest.raises(UsageError, match="whether a higher 'acu' is better is not declared; did you mean 'auc'"):
        friedman(scores, "acu", UP)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12), st.integers(2, 8))
def test_stretches_are_the_longest_without_a_pair_apart(pairs, length):
    apart = np.zeros((length, length), dtype=bool)
    for i, j in pairs:
        if i != j and max(i, j) < length:
            apart[i, j] = apart[j, i] = True
    whole = [
        (start, end)
        for start in range(length)
        for end in range(start + 2, length + 1)
        if not apart[start:end, start:end].any()
    ]
    longest = [one for one in whole if not any(o != one and o[0] <= one[0] and one[1] <= o[1] for o in whole)]
    assert stretches(apart) == longest
