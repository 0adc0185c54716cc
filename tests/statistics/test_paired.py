from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.paired import compare, detectable_effect, paired_table
from rmtl_bench.statistics.sign_flip import sign_flip_p

_SCORES = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=3, max_size=8, unique_by=lambda pair: pair[0]
)


def _sides(pairs):
    a = {seed: x / 1000 for seed, (x, _) in enumerate(pairs)}
    b = {seed: y / 1000 for seed, (_, y) in enumerate(pairs)}
    return a, b


def _random(n, seed=0):
    rng = np.random.default_rng(seed)
    return {i: float(x) for i, x in enumerate(rng.normal(0.7, 0.01, n))}


def test_interval_and_p_are_scipys_paired_t_test():
    a, b = _random(8), _random(8, 1)
    result = compare(a, b, True)
    theirs = stats.ttest_rel(list(a.values()), list(b.values()))
    assert result.p == pytest.approx(theirs.pvalue)
    assert (result.low, result.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert (result.tost_low, result.tost_high) == pytest.approx(tuple(theirs.confidence_interval(0.90)))


def test_the_sign_flip_p_is_the_share_of_all_flips():
    d = np.random.default_rng(2).normal(0.5, 1.0, size=6)
    flipped = [np.mean(np.array(signs) * d) for signs in itertools.product([1, -1], repeat=6)]
    share = np.mean(np.abs(flipped) >= abs(d.mean()) - 1e-12)
    assert sign_flip_p(d[None]) == pytest.approx([share])


def test_six_wins_of_six_reach_the_smallest_p():
    result = compare({i: 1.0 + i for i in range(6)}, dict.fromkeys(range(6), 0.5), True)
    assert result.p_exact == result.p_floor == 2 / 2**6


def test_many_seeds_are_flipped_at_random_but_repeatably():
    d = np.random.default_rng(3).normal(0.3, 1.0, size=(2, 18))
    p = sign_flip_p(d)
    assert np.array_equal(p, sign_flip_p(d))
    assert p == pytest.approx(stats.ttest_1samp(d, 0, axis=1).pvalue, abs=0.02)
    assert compare(dict(enumerate(d[0])), dict.fromkeys(range(18), 0.0), True).p_floor == 2 / 10_000


def test_effect_sizes_follow_the_direction_and_the_difference_does_not():
    a, b = {0: 1.0, 1: 2.0, 2: 4.0, 3: 1.0}, {0: 0.0, 1: 0.0, 2: 0.0, 3: 1.0}
    up, down = compare(a, b, True), compare(a, b, False)
    assert up.difference == down.difference == 1.75
    assert up.improvement == -down.improvement == 1.75
    assert up.d_z == -down.d_z == pytest.approx(1.75 / np.std([1, 2, 4, 0], ddof=1))
    assert (up.win_fraction, down.win_fraction) == (0.875, 0.125)


def test_the_detectable_effect_is_found_with_80_percent_power():
    n, rng = 10, np.random.default_rng(0)
    draws = rng.normal(detectable_effect(n), 1.0, size=(20_000, n))
    assert (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.015)


def test_a_difference_that_is_constant_up_to_rounding_is_deterministic():
    a = _random(5)
    result = compare({s: x + 0.001 for s, x in a.items()}, a, True)
    assert result.deterministic
    assert result.low == result.high == result.difference == pytest.approx(0.001)
    assert math.isnan(result.p)
    assert math.isnan(result.d_z)


def test_one_seed_has_a_difference_and_nothing_else():
    result = compare({0: 0.7}, {0: 0.6}, True)
    assert result.difference == pytest.approx(0.1)
    assert not result.deterministic
    assert all(math.isnan(x) for x in (result.low, result.p, result.p_exact, result.sd, result.mde))


def test_unpaired_seeds_are_refused_by_name():
    with pytest.raises(UsageError, match="one side alone: 1, 7"):
        compare({0: 0.1, 1: 0.2}, {0: 0.1, 7: 0.3}, True)


def test_unpaired_seeds_are_left_out_on_request():
    a, b = _random(6), _random(4, 1)
    assert compare(a, b, True, only_shared=True) == compare({s: a[s] for s in b}, b, True)


def test_sides_without_a_common_seed_are_refused():
    with pytest.raises(UsageError, match="share no seed"):
        compare({0: 0.1}, {1: 0.1}, True, only_shared=True)


def test_rows_with_different_gaps_are_compared_as_if_alone():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(4, 7)), rng.normal(size=(4, 7))
    a[0, 2], b[1, :3], a[2, :] = np.nan, np.nan, np.nan
    table = paired_table(a, b, np.array([True, False, True, True]))
    assert list(table["n"]) == [6, 4, 0, 7]
    alone = compare(dict(enumerate(a[1, 3:])), dict(enumerate(b[1, 3:])), False)
    assert (table.loc[1, "p"], table.loc[1, "d_z"]) == pytest.approx((alone.p, alone.d_z))
    assert math.isnan(table.loc[2, "difference"])


@settings(max_examples=25, deadline=None)
@given(_SCORES)
def test_swapping_the_sides_turns_every_sign(pairs):
    a, b = _sides(pairs)
    one, other = compare(a, b, True), compare(b, a, True)
    assert one.difference == pytest.approx(-other.difference)
    assert one.low == pytest.approx(-other.high)
    assert one.win_fraction == pytest.approx(1 - other.win_fraction)
    assert (one.p, one.p_exact) == pytest.approx((other.p, other.p_exact), nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(_SCORES, st.randoms())
def test_renaming_the_seeds_of_both_sides_alike_changes_nothing(pairs, random):
    a, b = _sides(pairs)
    order = list(a)
    random.shuffle(order)
    one = compare(a, b, True)
    other = compare({s: a[o] for s, o in enumerate(order)}, {s: b[o] for s, o in enumerate(order)}, True)
    for name in ("difference", "low", "p", "p_exact", "d_z", "win_fraction"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), nan_ok=True), name


@settings(max_examples=25, deadline=None)
@given(_SCORES, st.integers(-5, 5))
def test_adding_a_constant_to_both_sides_changes_nothing(pairs, constant):
    a, b = _sides(pairs)
    one = compare(a, b, True)
    other = compare({s: x + constant for s, x in a.items()}, {s: y + constant for s, y in b.items()}, True)
    assert one.deterministic == other.deterministic
    for name in ("difference", "low", "high", "p", "d_z", "mde"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), nan_ok=True, rel=1e-6, abs=1e-9), name
