"""The corrected resampled t test, for replicates that are new splits of the same rows (Nadeau and Bengio 2003).

``t = mean(d) / sqrt((1/n + n_test/n_train) * var(d))`` with n - 1 degrees of freedom.

Splits of one table share most of their training rows, so that their differences hang together and their variance
underrates that of the mean: the plain ``var(d) / n`` goes to zero with ever more splits of the same data, the error of
the mean does not. ``test_share = n_test / n_train`` stands for what more splits cannot take away; 0, for replicates
that are seeds on one split, is Student's paired t test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.frames import FloatArray
from rmtl_bench.statistics.student import t_ppf, t_sf


def corrected_error(sd: FloatArray, n: FloatArray | int, test_share: FloatArray | float = 0.0) -> FloatArray:
    """Return the standard error of the mean difference, ``sd * sqrt(1/n + test_share)``, elementwise."""
    return np.asarray(sd * np.sqrt(1.0 / n + test_share))


def t_test_p(difference: FloatArray, error: FloatArray, df: FloatArray | int) -> FloatArray:
    """Return the two-sided p of ``difference / error`` under Student's t; NaN where the error is not positive."""
    t = np.divide(np.abs(difference), error, out=np.full(np.shape(difference), np.nan), where=error > 0)
    return np.asarray(2 * t_sf(t, df), dtype=np.float64)


def t_interval(
    difference: FloatArray, error: FloatArray, df: FloatArray | int, confidence: float
) -> tuple[FloatArray, FloatArray]:
    """Return the bounds ``difference ± t(0.5 + confidence / 2, df) * error``."""
    width = t_ppf(0.5 + confidence / 2, df) * error
    return difference - width, difference + width


def share_of(dataset: str, resampled: Mapping[str, float] | None) -> float:
    """Return ``n_test / n_train`` of a data set, 0 where its replicates are seeds.

    ``resampled`` maps the data sets whose replicates are new splits to their share. Raises :class:`UsageError` for a
    share that is no positive number.
    """
    if not resampled or dataset not in resampled:
        return 0.0
    share = float(resampled[dataset])
    if not (math.isfinite(share) and share > 0):
        raise UsageError(f"data set {dataset!r}: n_test / n_train is a positive number, not {share:g}")
    return share


def shares_of(datasets: pd.Series, resampled: Mapping[str, float] | None) -> FloatArray:
    """Return :func:`share_of` for the data set of each row."""
    shares = {dataset: share_of(dataset, resampled) for dataset in datasets.unique()}
    return np.asarray(datasets.map(shares).to_numpy(dtype=float))
