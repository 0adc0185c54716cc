"""A block of simulated rows, their true probabilities and their labels; :mod:`.simulated` puts blocks together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

USER_FIELDS = {"user_group": 12, "age": 6, "region": 10}
ITEM_FIELDS = {"category": 12, "brand": 20, "price_level": 8}
CONTEXT_FIELDS = {"hour": 24, "slot": 5}
FIELDS = {**USER_FIELDS, **ITEM_FIELDS, **CONTEXT_FIELDS}
NUMERICAL = ("recency", "quality", "affinity")
"""Numerical fields, standard normal."""

_INTERACTIONS = (("age", "price_level"), ("age", "slot"))
_INTERACTION_SHARE = 0.1
_USERS_PER_SESSION = 0.2
_DAYS = 14
_DAY_MS = 86_400_000
_PAUSE_MS = 30_000.0


@dataclass(frozen=True)
class Rows:
    """N rows in time order: codes [N, F] from 0, numbers [N, D], and who, when and in which session, from 0."""

    codes: Integers
    numbers: Floats
    session: Integers
    user: Integers
    time: Integers


def draw_rows(count: int, lengths: Integers, pages: bool, begin: int, stream: np.random.Generator) -> Rows:
    """Draw sessions of these lengths, ``count`` rows in all, and put their rows into the order of time.

    Users are drawn with them. The sessions start in the fourteen days from ``begin`` on.
    """
    session = np.repeat(np.arange(len(lengths)), lengths)[:count]
    users = max(1, round(len(lengths) * _USERS_PER_SESSION))
    user_of_session = stream.integers(users, size=len(lengths))
    user_fields = np.column_stack([stream.integers(size, size=users) for size in USER_FIELDS.values()])
    start = stream.integers(begin, begin + _DAYS * _DAY_MS, size=len(lengths))
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
    return Rows(codes[order], numbers, session[order], user_of_session[session][order], time[order])


def draw_labels(own: Floats, session: Integers, dependence: float, stream: np.random.Generator) -> NDArray[np.bool_]:
    """Draw each task's own event [N, K]; rows of a session share a part ``dependence`` of the noise's variance."""
    common = stream.standard_normal((int(session.max()) + 1, own.shape[1]))[session]
    alone = stream.standard_normal(own.shape)
    return np.asarray(own + np.sqrt(dependence) * common + np.sqrt(1 - dependence) * alone > 0)


@dataclass(frozen=True)
class _Function:
    """A random function of a row's features: linear terms and interactions."""

    slopes: Floats
    effects: Sequence[Floats]
    crossed: Sequence[tuple[Floats, Floats]]


def _draw_function(fields: Mapping[str, int], stream: np.random.Generator) -> _Function:
    slopes = stream.standard_normal(len(NUMERICAL))
    effects = [stream.standard_normal(size) for size in fields.values()]
    crossed = [tuple(stream.standard_normal(fields[name]) for name in pair) for pair in _INTERACTIONS]
    return _Function(slopes, effects, [(first, second) for first, second in crossed])


class Truth:
    """The true probabilities of rows.

    The functions of the features are drawn once. The means and scales that make predictors of them, and the intercepts
    that put the labels at their rates, are those of the first rows asked for.
    """

    def __init__(
        self,
        fields: Mapping[str, int],
        rates: Sequence[float],
        funnel: bool,
        conflict: float,
        signal: float,
        stream: np.random.Generator,
    ) -> None:
        self._place = {name: column for column, name in enumerate(fields)}
        self._rates, self._funnel, self._cosine, self._signal = rates, funnel, 1 - 2 * conflict, signal
        self._functions = [_draw_function(fields, stream) for _ in rates]
        self._constants: dict[str, float] = {}

    def of(self, rows: Rows) -> tuple[Floats, Floats]:
        """Return the labels' probabilities [N, K] and the thresholds b_k + eta_k [N, K]."""
        predictors = self._predictors(rows)
        before = np.ones(len(predictors))
        optimum, own = np.empty_like(predictors), np.empty_like(predictors)
        for task, rate in enumerate(self._rates):
            own[:, task] = predictors[:, task] + self._intercept(task, rate, predictors[:, task], before)
            optimum[:, task] = before * ndtr(own[:, task])
            before = optimum[:, task] if self._funnel else before
        return optimum, own

    def _predictors(self, rows: Rows) -> Floats:
        """Return eta [N, K]: each the one before, turned by the angle whose cosine is 1 - 2 ``conflict``."""
        columns = [self._standard("predictor 0", self._values(0, rows))]
        for task in range(1, len(self._functions)):
            own = self._unrelated(task, self._values(task, rows), columns[-1])
            turned = self._cosine * columns[-1] + np.sqrt(1 - self._cosine**2) * own
            columns.append(self._standard(f"predictor {task}", turned))
        return self._signal * np.column_stack(columns)

    def _values(self, task: int, rows: Rows) -> Floats:
        """Return the task's function of the rows, [N]."""
        function = self._functions[task]
        linear = rows.numbers @ function.slopes
        for column, effects in enumerate(function.effects):
            linear += effects[rows.codes[:, column]]
        crossed = np.zeros_like(linear)
        for (left, right), (first, second) in zip(_INTERACTIONS, function.crossed, strict=True):
            crossed += first[rows.codes[:, self._place[left]]] * second[rows.codes[:, self._place[right]]]
        linear, crossed = self._standard(f"linear {task}", linear), self._standard(f"crossed {task}", crossed)
        return self._standard(
            f"function {task}", np.sqrt(1 - _INTERACTION_SHARE) * linear + np.sqrt(_INTERACTION_SHARE) * crossed
        )

    def _unrelated(self, task: int, own: Floats, before: Floats) -> Floats:
        """Return ``own`` less what it has in common with ``before``."""
        return self._standard(
            f"own {task}", own - before * self._once(f"common {task}", lambda: float(np.mean(own * before)))
        )

    def _standard(self, name: str, values: Floats) -> Floats:
        centred = values - self._once(f"mean {name}", values.mean)
        return np.asarray(centred / self._once(f"deviation {name}", centred.std))

    def _intercept(self, task: int, rate: float, eta: Floats, before: Floats) -> float:
        """Return the b_k that makes the mean probability of the task's label its rate."""

        def excess(intercept: float) -> float:
            return float(np.mean(before * ndtr(intercept + eta))) - rate

        low, high = min(-60, -40 - eta.max()), max(60, 40 - eta.min())
        return self._once(f"intercept {task}", lambda: brentq(excess, low, high, xtol=1e-10))

    def _once(self, name: str, value: Callable[[], float]) -> float:
        """Return what ``value`` gave for the first rows."""
        if name not in self._constants:
            self._constants[name] = float(value())
        return self._constants[name]
