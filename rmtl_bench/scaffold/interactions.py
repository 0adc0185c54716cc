"""Simulated interactions for the data set of a scaffold: a small file that a model can learn from."""

from __future__ import annotations

import numpy as np
import pandas as pd

ROWS = 3000
"""Views in the file."""

_USERS, _ITEMS, _CATEGORIES, _DAYS = 120, 80, 8, 14
_BEGIN = 1_750_000_000
_VISIT = 6
"""Views of a user in a row, on average."""


def interactions_csv(seed: int = 0) -> str:
    """Return :data:`ROWS` views of items by users in two weeks, as CSV with a header, in the order of their times.

    Columns: ``time`` in seconds, ``user``, ``item``, ``category``, ``device``, ``price``, and ``click`` and ``buy``,
    which are 0 or 1; who bought has clicked. The same seed gives the same text.
    """
    rng = np.random.default_rng(seed)
    visits = rng.integers(0, ROWS // _VISIT, ROWS)
    begins = rng.integers(0, _DAYS * 86_400, ROWS // _VISIT)
    user = rng.integers(0, _USERS, ROWS // _VISIT)[visits]
    item = rng.integers(0, _ITEMS, ROWS)
    category = rng.integers(0, _CATEGORIES, _ITEMS)[item]
    price = np.round(np.exp(rng.normal(3, 0.7, _ITEMS)), 2)[item]
    device = rng.choice(["phone", "tablet", "computer"], ROWS // _VISIT, p=[0.6, 0.1, 0.3])[visits]
    liking = rng.normal(0, 0.6, _USERS)[user] + rng.normal(0, 0.9, _CATEGORIES)[category]
    click = rng.random(ROWS) < _sigmoid(liking - 1)
    buy = click & (rng.random(ROWS) < _sigmoid(0.5 * liking - 0.8 * np.log(price / 20) - 0.5))
    columns = {
        "time": _BEGIN + begins[visits] + rng.integers(0, 1200, ROWS),
        "user": np.char.add("u", user.astype(str)),
        "item": np.char.add("i", item.astype(str)),
        "category": np.char.add("c", category.astype(str)),
        "device": device,
        "price": price,
        "click": click.astype(int),
        "buy": buy.astype(int),
    }
    table = pd.DataFrame(columns).sort_values(["time", "user", "item"], kind="stable")
    text: str = table.to_csv(index=False, lineterminator="\n")
    return text


def _sigmoid(x: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return 1 / (1 + np.exp(-x))
