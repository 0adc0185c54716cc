from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench_weightings.simplex import project_onto_simplex

POINTS = st.lists(st.floats(-10, 10), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("values", "total", "expected"),
    [
        ([0.3, 0.7], 1.0, [0.3, 0.7]),
        ([0.52, 0.42], 1.0, [0.55, 0.45]),
        ([2.0, -1.0], 1.0, [1.0, 0.0]),
        ([5.0, 5.0, -3.0], 1.0, [0.5, 0.5, 0.0]),
        ([1.0, 0.8, 0.1], 0.4, [0.3, 0.1, 0.0]),
        ([1.0, 2.0], 0.0, [0.0, 0.0]),
        ([-7.0], 1.0, [1.0]),
    ],
)
def test_points_by_hand(values, total, expected):
    projected = project_onto_simplex(torch.tensor(values, dtype=torch.float64), total)
    assert projected.tolist() == pytest.approx(expected)


@settings(deadline=None)
@given(values=POINTS, total=st.floats(0.125, 4))
def test_the_nearest_point_is_where_the_conditions_of_optimality_hold(values, total):
    point = torch.tensor(values, dtype=torch.float64)
    projected = project_onto_simplex(point, total)
    assert projected.sum().item() == pytest.approx(total)
    assert (projected >= 0).all()
    taken = (point - projected)[projected > 0]
    torch.testing.assert_close(taken, taken[:1].expand_as(taken))
    assert ((point - projected)[projected == 0] <= taken[0] + 1e-9).all()


def test_a_nan_shows_everywhere():
    assert project_onto_simplex(torch.tensor([0.2, torch.nan, 0.3])).isnan().all()
