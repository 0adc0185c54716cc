"""The power of the two-sided paired t test: the chance that it finds a true difference (Cohen 1988).

With effect ``d = |difference| / sd`` on n seeds, t has n - 1 degrees of freedom and is off centre by ``d * sqrt(n)``;
the power is the mass of that non-central t beyond the critical values. ``statsmodels.stats.power.TTestPower`` has the
same formula, but takes the far tail from a function that gives NaN there: at a corrected level (0.05 / 24, say) its
solver then ends on a wrong answer without a word.
"""

from __future__ import annotations

import numpy as np

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.frames import FloatArray
from rmtl_bench.statistics.student import noncentral_t_sf, t_ppf

_PRECISION = 1e-14


def paired_power(effect: FloatArray | float, n: FloatArray | float, alpha: FloatArray | float) -> FloatArray:
    """Return the power for effects |d_z| on n >= 2 seeds at the two-sided level ``alpha``, elementwise."""
    df, off_centre = np.subtract(n, 1.0), np.multiply(effect, np.sqrt(n))
    critical = -t_ppf(np.divide(alpha, 2.0), df)
    # The tail of the other sign, by symmetry.
    return noncentral_t_sf(critical, df, off_centre) + noncentral_t_sf(critical, df, np.negative(off_centre))


def effect_found(n: int, alpha: float, power: float) -> float:
    """Return the smallest |d_z| that n >= 2 seeds find with the given power; 0 where chance alone reaches it."""
    check_rates(alpha, power)
    if power <= alpha:
        return 0.0
    above = 1.0
    while paired_power(above, n, alpha) < power:
        above *= 2
    below = 0.0
    while above - below > _PRECISION * above:
        middle = (below + above) / 2
        below, above = (below, middle) if paired_power(middle, n, alpha) >= power else (middle, above)
    return above


def check_rates(alpha: float, power: float) -> None:
    """Refuse a level or a power outside (0, 1)."""
    for name, rate in (("level", alpha), ("power", power)):
        if not 0.0 < rate < 1.0:
            raise UsageError(f"a {name} lies between 0 and 1, not {rate:g}")
