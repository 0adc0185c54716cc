"""The usual way of preparing the same data: with pandas, in memory, from raw files to the arrays of a session table.

It is what the preparation of the data sets is measured against, so it is written to be quick: columns at a time,
narrow types, no loop over rows. What it does not do is check the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SHARES = (0.6, 0.2)
"""The parts of the rows that training and validation get."""


def cut_times(time_ms: pd.Series) -> tuple[int, int]:
    """Return the times at which validation and test begin."""
    ordered = np.sort(time_ms.to_numpy())
    first, second = (int(ordered[round(len(ordered) * share)]) for share in (SHARES[0], sum(SHARES)))
    return first, second


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Return ``rows``, which are in order of time, by split and session, with ``session`` and ``session_end``.

    They have the columns user_key, bucket and split; a session that runs across a boundary is cut.
    """
    tie = np.arange(len(rows))
    whole = rows.groupby(["user_key", "bucket"], sort=False).ngroup()
    rows = rows.assign(next_split=rows["split"].groupby(whole).shift(-1))
    part = pd.Series(tie, rows.index).groupby([whole, rows["split"]], sort=False).transform("min").to_numpy()
    order = np.lexsort((tie, part, rows["split"]))
    rows, part = rows.iloc[order], part[order]
    end = np.where(rows["next_split"].isna(), 1, np.where(rows["next_split"] == rows["split"], 0, 2))
    return rows.assign(session=np.cumsum(np.diff(part, prepend=part[:1]) != 0), session_end=end)


def arrays(
    rows: pd.DataFrame,
    categorical: Sequence[str],
    numerical: Sequence[str],
    labels: Sequence[str],
    attributes: Mapping[str, pd.DataFrame] | None = None,
    min_count: int = 2,
) -> dict[str, Any]:
    """Return the arrays of ``rows``, which :func:`in_order` put in order.

    ``attributes`` has, by the name of a column of ``rows``, the tables indexed by it that have further fields.
    """
    sizes = np.bincount(rows["split"], minlength=3)
    training = int(sizes[0])
    places = {key: table.index.get_indexer(rows[key]) for key, table in (attributes or {}).items()}
    ids = np.empty((len(rows), len(categorical)), np.int32)
    numbers = np.empty((len(rows), len(numerical)), np.float32)
    for column, name in enumerate(categorical):
        ids[:, column] = _ids(*_codes(name, rows, attributes or {}, places), training, min_count)
    for column, name in enumerate(numerical):
        numbers[:, column] = _standardised(_numbers(name, rows, attributes or {}, places), training)
    return {
        "categorical": ids,
        "numerical": numbers,
        "labels": rows[list(labels)].to_numpy(np.float32),
        "session": rows["session"].to_numpy(np.int32),
        "user": pd.factorize(rows["user_key"], sort=True)[0].astype(np.int32),
        "timestamp": rows["time_ms"].to_numpy(np.int64),
        "session_end": rows["session_end"].to_numpy(np.uint8),
        "split_sizes": tuple(map(int, sizes)),
    }


def _codes(
    name: str, rows: pd.DataFrame, attributes: Mapping[str, pd.DataFrame], places: Mapping[str, NDArray[np.intp]]
) -> tuple[NDArray[np.intp], Any]:
    """Return the number of each row's value, -1 where it is missing, and the values."""
    if name in rows:
        return pd.factorize(rows[name])
    key = next(key for key, table in attributes.items() if name in table)
    codes, values = pd.factorize(attributes[key][name])
    return np.append(codes, -1)[places[key]], values


def _ids(codes: NDArray[np.intp], values: Any, training: int, min_count: int) -> NDArray[np.int32]:
    """Return ids from 1 on, in the order of the values, and 0 for what is rare in training or missing."""
    known = np.bincount(codes[:training] + 1, minlength=len(values) + 1)[1:] >= min_count
    order = np.argsort(np.asarray(values))
    ids = np.zeros(len(values) + 1, np.int32)
    ids[order] = np.where(known[order], np.cumsum(known[order]), 0)
    return ids[codes]


def _numbers(
    name: str, rows: pd.DataFrame, attributes: Mapping[str, pd.DataFrame], places: Mapping[str, NDArray[np.intp]]
) -> NDArray[np.float64]:
    if name in rows:
        return rows[name].to_numpy(np.float64)
    key = next(key for key, table in attributes.items() if name in table)
    return np.append(attributes[key][name].to_numpy(np.float64), np.nan)[places[key]]


def _standardised(values: NDArray[np.float64], training: int) -> NDArray[np.float64]:
    known = values[:training]
    mean, scale = np.nanmean(known), np.nanstd(known)
    return np.nan_to_num((values - mean) / scale) if scale > 0 else np.zeros_like(values)
