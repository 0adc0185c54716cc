"""Every check of metrics finds the metric that breaks it."""

from __future__ import annotations

import re

import pytest

from rmtl_bench.testing import checks_of, find_subjects
from rmtl_bench.testing.checks import run_checks

WRONG = [
    ("both-parts", "result-is-one-number", "returns a tuple; return a float"),
    ("nothing", "result-is-one-number", "returns nan for 600 rows of both classes; return a finite number"),
    ("upside-down", "right-predictions-are-best", "have 0 and random ones 0.*; let the higher value be the better one"),
    ("base-rate", "right-predictions-are-best", "both have 0.*; let it look at labels and scores"),
    ("nothing", "right-predictions-are-best", "have nan and random ones nan; let the lower value"),
    ("dividing", "undefined-is-nan", "of labels of 0 alone it raises ZeroDivisionError: .*; return NaN"),
    ("unclipped", "undefined-is-nan", "of scores of 0 alone it makes inf; return NaN where it is undefined; keep"),
    ("first-half", "order-of-rows-does-not-matter", "of the same in another order; group rows by user and session"),
    ("of-even-users", "names-of-users-do-not-matter", "of the same of other ids of users and sessions; compare ids"),
    ("clipping-in-place", "predictions-are-not-changed", "changes predictions.scores; work on a copy"),
    ("bootstrapped", "same-predictions-same-number", "draws from the global generator of NumPy; draw nothing"),
    ("counting", "same-predictions-same-number", "the same predictions make .*, then .*; keep and draw nothing"),
    ("of-double-precision", "single-precision-will-do", "of float32 and .* of the same in float64; sum in float64"),
    ("absolute", "true-probabilities-are-best", "too extreme probabilities score better .*; do not declare gap_to"),
]


@pytest.fixture(scope="module")
def subject_called(host_of):
    return lambda name: find_subjects(host_of("wrong_metrics.py"), name, "metric")[0]


def test_a_right_metric_passes(subject_called):
    found = {finding.check: finding.state for finding in run_checks(subject_called("right"))}
    assert {name for name, state in found.items() if state != "ok"} == {
        "listing-imports-no-torch",
        "parameters-are-those-of-the-constructor",
    }
    assert "broken" not in found.values()


@pytest.mark.parametrize(("name", "check", "message"), WRONG)
def test_a_wrong_metric_is_caught_with_what_to_change(name, check, message, subject_called, find):
    finding = find(subject_called(name), check)
    assert finding.state == "broken", finding
    assert re.search(message, finding.message), finding.message


def test_the_best_prediction_is_asked_of_those_that_declare_a_gap_alone(subject_called, find):
    finding = find(subject_called("absolute-without-a-gap"), "true-probabilities-are-best")
    assert finding.state == "not applicable"


def test_every_check_has_a_wrong_metric_that_it_catches():
    own = {check.name for check in checks_of("metric") if check.function.__module__.endswith("metric_checks")}
    assert own == {check for _, check, _ in WRONG}
