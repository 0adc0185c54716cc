from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rmtl_bench.statistics.sign_flip import RESAMPLES, sign_flip_p, smallest_sign_flip_p


def _scipys(differences, n_resamples=np.inf):
    return stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=n_resamples,
        vectorized=True,
        axis=-1,
        rng=np.random.default_rng(0),
    ).pvalue


@pytest.mark.parametrize("n", [2, 3, 7, 10, 12])
def test_all_flips_are_scipys(n):
    d = np.random.default_rng(n).normal(0.4, 1.0, size=(6, n))
    assert np.abs(sign_flip_p(d) - _scipys(d)).max() <= 1e-12


@pytest.mark.parametrize("n", [15, 20])
def test_random_flips_are_scipys(n):
    d = np.random.default_rng(n).normal(0.4, 1.0, size=(4, n))
    assert np.abs(sign_flip_p(d) - _scipys(d, RESAMPLES)).max() <= 1e-12


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_means_that_are_equal_count_as_equal_whatever_the_rounding(numbers):
    sums = [
        abs(sum(s * x for s, x in zip(signs, numbers, strict=True)))
        for signs in itertools.product([1, -1], repeat=len(numbers))
    ]
    share = np.mean([total >= abs(sum(numbers)) for total in sums])
    # Thirds of an integer are rounded, and their sums the more.
    assert sign_flip_p(np.array([numbers]) / 3) == pytest.approx([share], abs=1e-12)


def test_rows_do_not_depend_on_each_other():
    d = np.random.default_rng(0).normal(size=(3_000, 13))
    some = [0, 1_111, 2_999]
    assert np.array_equal(sign_flip_p(d)[some], sign_flip_p(d[some]))


def test_the_smallest_p_is_reached_by_seeds_of_one_sign():
    for n in (3, 10, 14, 15, 20):
        assert sign_flip_p(np.arange(1.0, n + 1)[None]) == pytest.approx([smallest_sign_flip_p(n)])


def test_a_thousand_rows_of_14_seeds_take_no_time():
    d = np.random.default_rng(0).normal(size=(1_000, 14))
    sign_flip_p(d[:1])
    started = time.process_time()
    sign_flip_p(d)
    assert time.process_time() - started < 2


def test_no_rows_have_no_p():
    assert sign_flip_p(np.empty((0, 5))).shape == (0,)
