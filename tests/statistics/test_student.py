from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rmtl_bench.statistics.aggregates import average_places
from rmtl_bench.statistics.student import noncentral_t_sf, t_ppf, t_sf


@given(t=st.floats(-50, 50), df=st.integers(1, 500))
@settings(max_examples=200, deadline=None)
def test_the_mass_beyond_t_is_scipys(t, df):
    assert float(t_sf(t, df)) == pytest.approx(stats.t.sf(t, df), rel=1e-12, abs=1e-300)


@given(p=st.floats(1e-6, 1 - 1e-6), df=st.integers(1, 500))
@settings(max_examples=200, deadline=None)
def test_the_quantiles_are_scipys(p, df):
    assert float(t_ppf(p, df)) == pytest.approx(stats.t.ppf(p, df), rel=1e-10, abs=1e-12)


@given(t=st.floats(0.5, 20), df=st.integers(1, 200), off_centre=st.floats(-20, 20))
@settings(max_examples=200, deadline=None)
def test_the_noncentral_mass_is_scipys_wherever_that_is_a_number(t, df, off_centre):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected = float(stats.nct.sf(t, df, off_centre))
    found = float(noncentral_t_sf(t, df, off_centre))
    assert 0.0 <= found <= 1.0
    assert np.isnan(expected) or found == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("off_centre", [1e3, 1e9])
def test_far_tails_are_all_or_nothing(off_centre):
    assert float(noncentral_t_sf(2.0, 9, off_centre)) == 1.0
    assert float(noncentral_t_sf(2.0, 9, -off_centre)) == 0.0


def test_places_are_scipys_ranks():
    values = np.random.default_rng(0).integers(0, 4, (20, 7)).astype(float)
    np.testing.assert_array_equal(average_places(values), stats.rankdata(values, axis=1))


def test_what_a_leaderboard_needs_does_not_import_the_whole_of_scipy():
    code = "import sys, rmtl_bench.report; sys.exit('scipy.stats' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0
