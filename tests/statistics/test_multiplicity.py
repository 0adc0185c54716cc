from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from rmtl_bench.statistics.multiplicity import holm, holm_within


def test_holm_gives_the_values_worked_out_by_hand():
    # Sorted .005 .01 .03 .04 times 4 3 2 1 is .02 .03 .06 .04; the running maximum lifts the last one.
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_what_was_not_tested_does_not_count():
    assert holm(np.array([0.02, np.nan, 0.03])) == pytest.approx([0.04, np.nan, 0.04], nan_ok=True)
    assert np.isnan(holm(np.array([np.nan]))).all()


def test_each_family_and_metric_is_corrected_for_itself():
    frame = pd.DataFrame({"family": list("xxyx"), "metric": ["auc", "auc", "auc", "nll"], "p": [0.02, 0.5, 0.02, 0.02]})
    assert holm_within(frame, ["family", "metric"]) == pytest.approx([0.04, 0.5, 0.02, 0.02])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_statsmodels_and_lies_between_no_correction_and_bonferroni(p):
    raw = np.array(p)
    adjusted = holm(raw)
    assert np.array_equal(adjusted, multipletests(raw, method="holm")[1])
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(1, raw * len(raw))).all()


def test_thousands_of_families_take_no_time():
    frame = pd.DataFrame({"family": range(5_000), "p": 0.5})
    started = time.process_time()
    assert (holm_within(frame, ["family"]) == 0.5).all()
    assert time.process_time() - started < 5
