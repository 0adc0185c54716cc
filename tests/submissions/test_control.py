"""The band between base rate and optimum."""

from __future__ import annotations

import math

import pytest

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.submissions.building import scored
from rmtl_bench.submissions.control import band_faults, controls
from rmtl_bench.submissions.form import Replicate, Score, ScoredCell

ENTROPY = 0.5


def _cell(*scores: Score) -> ScoredCell:
    part = Component("a", "a", 1, "d", "1", {})
    cell = Cell(part, "0" * 16, part, part, {}, ("auc",), 0)
    return ScoredCell(cell, (Replicate(0, cell.run_id, 0),), scores)


def _logloss(value: float, gap: float) -> ScoredCell:
    rows = {"logloss": value, "normalised-entropy": value / ENTROPY, "logloss-gap": gap}
    return _cell(*(scored("click", metric, False, (number,)) for metric, number in rows.items()))


# The optimum of logloss is .3 and the base rate's .5: a tenth of the way is .02.
@pytest.mark.parametrize(
    ("value", "problem"),
    [(0.277, "is better than the optimum 0.30000"), (0.283, ""), (0.517, ""), (0.523, "is worse than predicting")],
)
def test_logloss_lies_between_optimum_and_entropy(value: float, problem: str) -> None:
    faults = list(band_faults(_logloss(value, value - 0.3)))
    assert len(faults) == bool(problem)
    assert problem in "".join(faults)


@pytest.mark.parametrize(("value", "faults"), [(0.832, 1), (0.828, 0), (0.472, 0), (0.468, 1)])
def test_auc_lies_between_a_half_and_the_optimum(value: float, faults: int) -> None:
    cell = _cell(scored("click", "auc", True, (value,)), scored("click", "auc-gap", False, (0.8 - value,)))
    assert len(list(band_faults(cell))) == faults


def test_a_data_set_is_controlled_only_where_optimum_and_base_rate_are_known() -> None:
    assert controls([_logloss(0.4, 0.1)]) == {"a": ("logloss",)}
    lone = _cell(scored("click", "logloss", False, (0.4,)), scored("click", "logloss-gap", False, (0.1,)))
    assert controls([lone]) == {}
    assert controls([_cell(scored("click", "auc", True, (0.7,)))]) == {}
    noise = _cell(scored("click", "auc", True, (0.52,)), scored("click", "auc-gap", False, (-0.03,)))
    assert controls([noise]) == {}


def test_what_no_seed_defines_has_no_mean() -> None:
    assert scored("click", "auc", True, (None, None)) == Score("click", "auc", True, (None, None), None, 0)
    assert math.isclose(scored("click", "auc", True, (0.5, 1.0)).mean or 0.0, 0.75)
