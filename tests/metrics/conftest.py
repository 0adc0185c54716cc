from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from rmtl_bench.contracts.metric import Predictions

Make = Callable[..., Predictions]


@pytest.fixture(scope="session")
def predictions() -> Make:
    """Predictions from plain lists; every row its own user and session unless they are given."""

    def make(
        labels: Sequence[float],
        scores: Sequence[float],
        user: Sequence[int] | None = None,
        session: Sequence[int] | None = None,
    ) -> Predictions:
        rows = np.arange(len(labels))
        return Predictions(
            np.array(labels, dtype=np.float64),
            np.array(scores, dtype=np.float64),
            rows if user is None else np.array(user, dtype=np.int64),
            rows if session is None else np.array(session, dtype=np.int64),
        )

    return make
