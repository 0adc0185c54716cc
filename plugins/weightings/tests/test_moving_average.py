from __future__ import annotations

import pytest
import torch

from rmtl_bench_weightings.moving_average import mean_of, moved_on


def averaged(rows, seen, beta):
    average = torch.zeros(2, 2, dtype=torch.float64)
    for values, there in zip(rows, seen, strict=True):
        average = moved_on(average, torch.tensor(values, dtype=torch.float64), torch.tensor(there), beta)
    return mean_of(average).tolist()


def test_the_mean_is_weighted_by_age():
    rows, seen = [[1.0, 4.0], [2.0, 8.0], [6.0, 1.0]], [[True, True]] * 3
    expected = [(0.25 * 1 + 0.5 * 2 + 6) / 1.75, (0.25 * 4 + 0.5 * 8 + 1) / 1.75]
    assert averaged(rows, seen, 0.5) == pytest.approx(expected)


def test_no_memory_gives_the_last_value():
    assert averaged([[1.0, 4.0], [2.0, 8.0]], [[True, True]] * 2, 0.0) == [2.0, 8.0]


def test_what_is_not_there_does_not_count():
    rows, seen = [[1.0, 4.0], [0.0, 8.0], [6.0, 0.0]], [[True, True], [False, True], [True, False]]
    assert averaged(rows, seen, 0.5) == pytest.approx([(0.5 * 1 + 6) / 1.5, (0.5 * 4 + 8) / 1.5])


def test_what_has_never_been_there_has_mean_zero():
    assert averaged([[1.0, 0.0]], [[True, False]], 0.5) == [1.0, 0.0]
