"""Simulated sessions whose true probabilities are known: how far a model is from the best there can be.

A row x has eight categorical fields (of the user, the item and the context) and three numbers. Task k has a predictor
eta_k(x), a sum of one effect per value of each field, linear terms and two interactions, with mean 0 and standard
deviation ``signal``. Its own event is

    y_k = 1[ b_k + eta_k(x) + sqrt(rho) u_{k,session} + sqrt(1 - rho) e > 0 ],    u, e ~ N(0, 1) independent,

so that P(y_k = 1 | x) = Phi(b_k + eta_k(x)) exactly, whatever the dependence rho of the rows of a session. In a funnel
the label of task k is its event AND the label of task k-1, whose session effects are independent, so that its
probability is the product of the Phi along the chain. The intercepts b_k make the mean probability of each label its
rate.

A session is a *page*, ``session_length`` rows of which the field slot counts the places, so that a state tells how much
of its session is left; or its length is *geometric* and the slot drawn at random, so that no state tells anything of
what will follow, but for its user.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from rmtl_bench.contracts.dataset import Dataset, SessionTable
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.contracts.schema import CategoricalField, Schema, Task
from rmtl_bench_datasets.sessions import check_shares

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

USER_FIELDS = {"user_group": 12, "age": 6, "region": 10}
ITEM_FIELDS = {"category": 12, "brand": 20, "price_level": 8}
CONTEXT_FIELDS = {"hour": 24, "slot": 5}
NUMERICAL = ("recency", "quality", "affinity")
"""Numerical fields, standard normal."""

_FIELDS = {**USER_FIELDS, **ITEM_FIELDS, **CONTEXT_FIELDS}
_INTERACTIONS = (("age", "price_level"), ("age", "slot"))
_INTERACTION_SHARE = 0.1
_USERS_PER_SESSION = 0.2
_DAYS = 14
_DAY_MS = 86_400_000
_START_MS = 1_700_000_000_000
_PAUSE_MS = 30_000.0


@dataclass(frozen=True)
class _Rows:
    """N rows in time order: codes [N, F] from 0, numbers [N, D], and who, when and in which session."""

    codes: Integers
    numbers: Floats
    session: Integers
    user: Integers
    time: Integers


class Simulated(Dataset):
    """Simulated sessions with known true probabilities (``optimum``); the module says how they are made.

    ``conflict`` c makes the predictors of consecutive tasks correlate at exactly 1 - 2c over the rows: at 0 the tasks
    agree, at 0.5 they have nothing in common, at 1 they are opposed. The tasks are click, purchase, task-3 and so on; a
    rate that is not given is a quarter of the one before. Rows are in the order of time and the splits are by time.
    """

    def __init__(
        self,
        *,
        rows: int = 50_000,
        tasks: int = 2,
        rates: Sequence[float] = (0.2, 0.05),
        conflict: float = 0.3,
        dependence: float = 0.3,
        signal: float = 0.6,
        sessions: str = "page",
        session_length: float = 5.0,
        funnel: bool = True,
        split: Sequence[float] = (0.6, 0.2, 0.2),
        seed: int = 0,
    ) -> None:
        self._rows, self._rates, self._funnel = rows, _rates(rates, tasks, funnel), funnel
        self._conflict, self._dependence, self._signal = conflict, dependence, signal
        self._sessions, self._session_length = sessions, session_length
        self._shares, self._seed = check_shares(split), seed
        if sessions == "page" and session_length % 1:
            raise UsageError(f"parameter 'session_length' is {session_length}; a page has a whole number of rows")
        self._fields = {**_FIELDS, "slot": round(session_length)} if sessions == "page" else _FIELDS
        names = ["click", "purchase", *(f"task-{number}" for number in range(3, tasks + 1))][:tasks]
        parents = [None, *names[:-1]] if funnel else [None] * tasks
        self._tasks = tuple(Task(name, parent) for name, parent in zip(names, parents, strict=True))

    def build(self, data_dir: Path, scratch: Path) -> SessionTable:
        """Return the table; the same parameters give the same table."""
        rows_stream, effect_stream, label_stream = np.random.default_rng(self._seed).spawn(3)
        lengths = self._draw_lengths(rows_stream)
        rows = _draw_rows(self._rows, lengths, self._sessions == "page", rows_stream)
        predictors = _predictors(rows, self._fields, len(self._tasks), self._conflict, self._signal, effect_stream)
        optimum, own = _calibrated(predictors, self._rates, self._funnel)
        labels = _draw_labels(own, rows.session, self._dependence, label_stream)
        if self._funnel:
            labels = np.logical_and.accumulate(labels, axis=1)
        return self._table(rows, labels, optimum)

    def _draw_lengths(self, stream: np.random.Generator) -> Integers:
        """Return the lengths of enough sessions."""
        if self._sessions == "page":
            length = round(self._session_length)
            return np.full(-(-self._rows // length), length)
        lengths = stream.geometric(1 / self._session_length, self._rows)
        return lengths[: int(np.searchsorted(np.cumsum(lengths), self._rows)) + 1]

    def _table(self, rows: _Rows, labels: NDArray[np.bool_], optimum: Floats) -> SessionTable:
        split = _split(rows.time, self._shares)
        order, session, ends = _lay_out(rows, split)
        sizes = np.bincount(split, minlength=3)
        return SessionTable(
            schema=Schema(
                tuple(CategoricalField(name, size + 1) for name, size in self._fields.items()), NUMERICAL, self._tasks
            ),
            categorical=(rows.codes[order] + 1).astype(np.int32),
            numerical=rows.numbers[order].astype(np.float32),
            labels=labels[order].astype(np.float32),
            session=session,
            user=rows.user[order].astype(np.int32),
            timestamp=rows.time[order],
            session_end=ends,
            split_sizes=(int(sizes[0]), int(sizes[1]), int(sizes[2])),
            optimum=optimum[order].astype(np.float32),
            notes={"source": "simulated", "sessions_cut_by_a_split": int(np.count_nonzero(ends == 2))},
        )


def _rates(rates: Sequence[float], tasks: int, funnel: bool) -> list[float]:
    """Return one rate a task."""
    filled = list(rates[:tasks])
    while filled and len(filled) < tasks:
        filled.append(filled[-1] / 4)
    falling = all(later < earlier for earlier, later in itertools.pairwise(filled))
    if not filled or min(filled) <= 0 or max(filled) >= 1 or (funnel and not falling):
        raise UsageError(f"parameter 'rates' is {tuple(rates)}; it takes shares between 0 and 1" + ", falling" * funnel)
    return filled


def _draw_rows(count: int, lengths: Integers, pages: bool, stream: np.random.Generator) -> _Rows:
    """Draw sessions of these lengths, ``count`` rows in all, and put their rows into the order of time."""
    session = np.repeat(np.arange(len(lengths)), lengths)[:count]
    users = max(1, round(len(lengths) * _USERS_PER_SESSION))
    user_of_session = stream.integers(users, size=len(lengths))
    user_fields = np.column_stack([stream.integers(size, size=users) for size in USER_FIELDS.values()])
    start = stream.integers(_START_MS, _START_MS + _DAYS * _DAY_MS, size=len(lengths))
    clock = np.cumsum(1 + stream.exponential(_PAUSE_MS, count).astype(np.int64))
    first_of_session = np.searchsorted(session, np.arange(session[-1] + 1))
    time = start[session] + clock - clock[first_of_session][session]
    per_row = np.column_stack(
        [stream.integers(size, size=count) for size in (*ITEM_FIELDS.values(), CONTEXT_FIELDS["slot"])]
    )
    if pages:
        per_row[:, -1] = np.arange(count) - first_of_session[session]
    hour = time // 3_600_000 % 24
    codes = np.column_stack([user_fields[user_of_session[session]], per_row[:, :-1], hour, per_row[:, -1]])
    order = np.lexsort((session, time))
    numbers = stream.standard_normal((count, len(NUMERICAL)))
    return _Rows(codes[order], numbers, session[order], user_of_session[session][order], time[order])


def _predictors(
    rows: _Rows, fields: Mapping[str, int], tasks: int, conflict: float, signal: float, stream: np.random.Generator
) -> Floats:
    """Return eta [N, K]: each the one before, turned by the angle whose cosine is 1 - 2 ``conflict``."""
    cosine = 1 - 2 * conflict
    columns = [_standard(_effects(rows, fields, stream))]
    for _ in range(1, tasks):
        own = _effects(rows, fields, stream)
        own = _standard(own - columns[-1] * float(np.mean(own * columns[-1])))
        columns.append(_standard(cosine * columns[-1] + np.sqrt(1 - cosine**2) * own))
    return signal * np.column_stack(columns)


def _effects(rows: _Rows, fields: Mapping[str, int], stream: np.random.Generator) -> Floats:
    """Return a random function of the rows' features, [N]: linear terms and interactions."""
    linear = rows.numbers @ stream.standard_normal(rows.numbers.shape[1])
    for column, size in enumerate(fields.values()):
        linear += stream.standard_normal(size)[rows.codes[:, column]]
    crossed = np.zeros_like(linear)
    position = {name: column for column, name in enumerate(fields)}
    for left, right in _INTERACTIONS:
        first, second = stream.standard_normal(fields[left]), stream.standard_normal(fields[right])
        crossed += first[rows.codes[:, position[left]]] * second[rows.codes[:, position[right]]]
    share = _INTERACTION_SHARE
    return _standard(np.sqrt(1 - share) * _standard(linear) + np.sqrt(share) * _standard(crossed))


def _standard(values: Floats) -> Floats:
    centred = values - values.mean()
    return np.asarray(centred / centred.std())


def _calibrated(predictors: Floats, rates: Sequence[float], funnel: bool) -> tuple[Floats, Floats]:
    """Return the labels' probabilities [N, K], their means at the rates, and the thresholds b_k + eta_k [N, K]."""
    before = np.ones(len(predictors))
    optimum, own = np.empty_like(predictors), np.empty_like(predictors)
    for task, rate in enumerate(rates):
        eta = predictors[:, task]
        reach = before

        def excess(intercept: float, eta: Floats = eta, reach: Floats = reach, rate: float = rate) -> float:
            return float(np.mean(reach * ndtr(intercept + eta))) - rate

        own[:, task] = eta + brentq(excess, min(-60, -40 - eta.max()), max(60, 40 - eta.min()), xtol=1e-10)
        optimum[:, task] = reach * ndtr(own[:, task])
        before = optimum[:, task] if funnel else before
    return optimum, own


def _draw_labels(own: Floats, session: Integers, dependence: float, stream: np.random.Generator) -> NDArray[np.bool_]:
    """Draw each task's own event [N, K]; rows of a session share a part ``dependence`` of the noise's variance."""
    common = stream.standard_normal((int(session.max()) + 1, own.shape[1]))[session]
    alone = stream.standard_normal(own.shape)
    return np.asarray(own + np.sqrt(dependence) * common + np.sqrt(1 - dependence) * alone > 0)


def _split(time: Integers, shares: Sequence[float]) -> Integers:
    """Return 0, 1 or 2 for each row; ``time`` [N] is sorted, and equal times are never parted."""
    at = [min(round(len(time) * share), len(time) - 1) for share in (shares[0], shares[0] + shares[1])]
    return np.asarray((time >= time[at[0]]).astype(np.int64) + (time >= time[at[1]]))


def _lay_out(rows: _Rows, split: Integers) -> tuple[Integers, NDArray[np.int32], NDArray[np.uint8]]:
    """Return the order of the rows, the sessions in that order, and where they end (1) or are cut (2)."""
    part = rows.session * 3 + split
    _, first, of_row = np.unique(part, return_index=True, return_inverse=True)
    order = np.lexsort((first[of_row], split))
    starts = np.flatnonzero(np.diff(part[order], prepend=-1))
    lengths = np.diff(starts, append=len(part))
    session = np.repeat(np.arange(len(starts), dtype=np.int32), lengths)
    last_split = np.zeros(int(rows.session.max()) + 1, np.int64)
    np.maximum.at(last_split, rows.session, split)
    ends = np.zeros(len(part), np.uint8)
    last = starts + lengths - 1
    ends[last] = 1 + (split[order][last] < last_split[rows.session[order][last]])
    return order, session, ends
