"""What every metric keeps to."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.catalogue import MetricInfo
from rmtl_bench.contracts.metric import Predictions
from rmtl_bench.testing.checks import NotApplicable, broken, check
from rmtl_bench.testing.generators import seeded_generators
from rmtl_bench.testing.subjects import Subject

_ROWS, _USERS, _SEEDS = 600, 40, 5
_DIRECTION = {True: "higher", False: "lower"}


def random_predictions(seed: int, rows: int = _ROWS) -> Predictions:
    """Return predictions by the true probabilities of labels; sessions of one to six rows, several of each user."""
    generator = np.random.default_rng([seed, rows])
    chance = 1 / (1 + np.exp(-generator.normal(-0.5, 1.2, rows)))
    session = np.repeat(np.arange(rows), generator.integers(1, 7, rows))[:rows]
    return Predictions(
        labels=(generator.random(rows) < chance).astype(np.float64),
        scores=chance,
        user=generator.integers(_USERS, size=rows)[session],
        session=session,
    )


def _number(subject: Subject, predictions: Predictions) -> float:
    """Return the metric as a float."""
    return float(_result(subject, predictions))


def _result(subject: Subject, predictions: Predictions) -> Any:
    """Return what the metric returns. What is warned of where it is undefined is no matter."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return subject.load()(predictions)


def _same(one: float, other: float, relative: float = 1e-9) -> bool:
    return bool(np.isclose(one, other, rtol=relative, atol=1e-12, equal_nan=True))


@check
def result_is_one_number(subject: Subject) -> None:
    """It returns one number."""
    value = _result(subject, random_predictions(0))
    if not isinstance(value, float | int | np.floating | np.integer) or isinstance(value, bool):
        broken(f"it returns a {type(value).__name__}", "return a float")
    if not np.isfinite(value):
        broken(f"it returns {value} for {_ROWS} rows of both classes", "return a finite number where it is defined")


@check
def right_predictions_are_best(subject: Subject) -> None:
    """Predictions that are the labels are at least as good as random ones, and better than the opposite."""
    info = subject.info
    if not isinstance(info, MetricInfo):
        broken(f"the description is a {type(info).__name__}", "describe it by a MetricInfo")
    sign = 1 if info.higher_is_better else -1
    change = f"let the {_DIRECTION[info.higher_is_better]} value be the better one, or change higher_is_better"
    for seed in range(_SEEDS):
        made = random_predictions(seed)
        right = _number(subject, replace(made, scores=made.labels))
        drawn = _number(subject, replace(made, scores=np.random.default_rng(seed).random(_ROWS)))
        opposite = _number(subject, replace(made, scores=1 - made.labels))
        for what, value in (("random", drawn), ("opposite", opposite)):
            if not sign * right >= sign * value:
                broken(f"right predictions have {right:.6g} and {what} ones {value:.6g}", change)
        if right == opposite:
            broken(f"right predictions and opposite ones both have {right:.6g}", "let it look at labels and scores")


@check
def undefined_is_nan(subject: Subject) -> None:
    """Of rows that leave it undefined it makes a number or NaN, never an exception and nothing infinite."""
    for what, predictions in _degenerate():
        try:
            value = _number(subject, predictions)
        except Exception as error:
            broken(f"of {what} it raises {type(error).__name__}: {error}".splitlines()[0], "return NaN")
        if np.isinf(value):
            broken(f"of {what} it makes {value}", "return NaN where it is undefined; keep probabilities from 0 and 1")


def _degenerate() -> Iterator[tuple[str, Predictions]]:
    made = random_predictions(0)
    yield "constant scores", replace(made, scores=np.full(_ROWS, 0.25))
    yield "scores of 0 alone", replace(made, scores=np.zeros(_ROWS))
    yield "scores of 1 alone", replace(made, scores=np.ones(_ROWS))
    yield "labels of 0 alone", replace(made, labels=np.zeros(_ROWS))
    yield "labels of 1 alone", replace(made, labels=np.ones(_ROWS))
    yield "sessions and users of one class each", replace(made, user=made.session, labels=made.session % 2 * 1.0)
    yield "sessions and users of one row each", replace(made, user=np.arange(_ROWS), session=np.arange(_ROWS))
    yield "one user", replace(made, user=np.zeros_like(made.user), session=np.zeros_like(made.session))
    yield "one row", _rows(made, np.arange(1))
    yield "no row", _rows(made, np.arange(0))


def _rows(predictions: Predictions, rows: NDArray[np.int64]) -> Predictions:
    return Predictions(**{each.name: getattr(predictions, each.name)[rows] for each in fields(predictions)})


@check
def order_of_rows_does_not_matter(subject: Subject) -> None:
    """The same rows in another order make the same number."""
    made = random_predictions(0)
    other = _rows(made, np.random.default_rng(0).permutation(_ROWS))
    _compare(subject, made, other, "in another order", "group rows by user and session, not by where they stand")


@check
def names_of_users_do_not_matter(subject: Subject) -> None:
    """Other numbers of users and sessions make the same number."""
    made = random_predictions(0)
    generator = np.random.default_rng(0)
    other = {
        name: np.sort(generator.choice(2**31 - 1, _ROWS, replace=False))[generator.permutation(_ROWS)][ids]
        for name, ids in (("user", made.user), ("session", made.session))
    }
    change = "compare ids for equality, and do not index by them"
    _compare(subject, made, replace(made, **other), "of other ids of users and sessions", change)


def _compare(subject: Subject, one: Predictions, other: Predictions, how: str, change: str) -> None:
    values = _number(subject, one), _number(subject, other)
    if not _same(*values):
        broken(f"it makes {values[0]:.12g} of rows, and {values[1]:.12g} of the same {how}", change)


@check
def predictions_are_not_changed(subject: Subject) -> None:
    """What it is given stays as it was."""
    made, untouched = random_predictions(0), random_predictions(0)
    _number(subject, made)
    for each in fields(made):
        if not np.array_equal(getattr(made, each.name), getattr(untouched, each.name)):
            broken(f"it changes predictions.{each.name}", "work on a copy, not in place")


@check
def same_predictions_same_number(subject: Subject) -> None:
    """The same predictions make the same number, bit for bit, and nothing is drawn from a global generator."""
    values = []
    for seed in (1, 2):
        with seeded_generators(seed) as moved:
            values.append(_number(subject, random_predictions(0)))
            names = moved()
        if names:
            broken(f"it draws from the global generator of {names[0]}", "draw nothing, or from one of a fixed seed")
    if values[0] != values[1] and not np.isnan(values).all():
        broken(f"the same predictions make {values[0]!r}, then {values[1]!r}", "keep and draw nothing")


@check
def single_precision_will_do(subject: Subject) -> None:
    """Labels and scores of single precision make the number that the same ones of double precision make."""
    made = random_predictions(0)
    single = replace(made, labels=made.labels.astype(np.float32), scores=made.scores.astype(np.float32))
    double = replace(made, scores=single.scores.astype(np.float64))
    values = _number(subject, single), _number(subject, double)
    if not _same(*values, relative=1e-4):
        broken(
            f"it makes {values[0]:.9g} of float32 and {values[1]:.9g} of the same in float64",
            "sum in float64: values.astype(np.float64)",
        )


@check
def true_probabilities_are_best(subject: Subject) -> None:
    """Where gap_to_optimum is declared, the true probabilities score at least as well as any others."""
    info = subject.info
    if not isinstance(info, MetricInfo) or not info.gap_to_optimum:
        raise NotApplicable("the description does not declare gap_to_optimum")
    sign = 1 if info.higher_is_better else -1
    for what, distort in _DISTORTED.items():
        gaps = []
        for seed in range(_SEEDS):
            made = random_predictions(seed, 4 * _ROWS)
            logit = np.log(made.scores) - np.log1p(-made.scores)
            other = 1 / (1 + np.exp(-distort(logit, np.random.default_rng(seed))))
            gaps.append(sign * (_number(subject, made) - _number(subject, replace(made, scores=other))))
        # The labels are drawn: a little less than 0 may be chance.
        if not np.mean(gaps) >= -1e-9 - 3 * np.std(gaps, ddof=1) / np.sqrt(_SEEDS):
            broken(
                f"{what} probabilities score better than the true ones by {-np.mean(gaps):.3g}",
                "do not declare gap_to_optimum: the distance to what is not the best says nothing",
            )


_DISTORTED: dict[str, Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]]] = {
    "noisy": lambda logit, generator: logit + generator.normal(0, 1, len(logit)),
    "too extreme": lambda logit, _: 3 * logit,
    "too timid": lambda logit, _: logit / 3,
    "too high": lambda logit, _: logit + 0.7,
    "too low": lambda logit, _: logit - 0.7,
}
