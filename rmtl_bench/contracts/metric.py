"""What a metric gets: one task's predictions on the test split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """Known labels of one task and their predicted probabilities.

    ``labels`` float [N] of 0 and 1; ``scores`` float [N] in [0, 1]; ``user`` and ``session`` int [N].
    """

    labels: NDArray[np.floating]
    scores: NDArray[np.floating]
    user: NDArray[np.integer]
    session: NDArray[np.integer]
