from __future__ import annotations

import builtins

import numpy as np
import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.bayesian import signed_rank_probabilities

B = np.array([0.70, 0.72, 0.68, 0.75, 0.71, 0.69, 0.73, 0.74])
SAMPLES = 2000


@pytest.fixture
def baycomp():
    return pytest.importorskip("baycomp")


def test_a_clear_difference_is_probably_one_and_the_direction_counts(baycomp):
    a = B + 0.01
    up = signed_rank_probabilities(a, B, 0.001, samples=SAMPLES)
    assert up.better > 0.98
    assert sum(up) == pytest.approx(1)
    down = signed_rank_probabilities(a, B, 0.001, higher_is_better=False, samples=SAMPLES)
    swapped = signed_rank_probabilities(B, a, 0.001, samples=SAMPLES)
    assert down.worse == swapped.worse > 0.98


def test_differences_within_the_region_are_equivalent(baycomp):
    a = B + np.array([1, -1, 1, -1, 1, -1, 1, -1]) * 1e-4
    found = signed_rank_probabilities(a, B, 0.001, samples=SAMPLES)
    assert found.equivalent > 0.98
    assert signed_rank_probabilities(a, B, 0.0, samples=SAMPLES).equivalent == 0


def test_the_probabilities_are_those_of_the_library(baycomp):
    a = B + np.random.default_rng(0).normal(0.001, 0.003, 8)
    found = signed_rank_probabilities(a, B, 0.001, samples=SAMPLES, seed=5)
    left, rope, right = baycomp.two_on_multiple(a, B, 0.001, nsamples=SAMPLES, random_state=5)
    assert found == (right, rope, left)


def test_the_seed_repeats_it_and_numpys_own_stream_is_left_alone(baycomp):
    a = B + np.random.default_rng(0).normal(0.001, 0.003, 8)
    before = np.random.get_state()[1].copy()
    first, second = (signed_rank_probabilities(a, B, 0.001, samples=SAMPLES) for _ in range(2))
    assert first == second
    assert np.array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize(
    ("a", "b", "region", "message"),
    [
        ([0.1], [0.1, 0.2], 0.1, r"one value a data set and method is needed, not \(1,\) and \(2,\)"),
        ([], [], 0.1, "one value a data set"),
        ([0.1, np.nan], [0.1, 0.2], 0.1, "missing or not finite"),
        ([0.1], [0.1], -0.1, "not negative, unlike -0.1"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, region, message):
    with pytest.raises(UsageError, match=message):
        signed_rank_probabilities(a, b, region)


def test_without_the_extra_the_error_names_it(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name == "baycomp":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"needs baycomp: pip install 'rmtl-bench\[stats\]'"):
        signed_rank_probabilities(B, B, 0.001)
