from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.report.document import against, chosen, number, p_value, spread, verdict_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.71234567, "0.71235"),
        (-0.5, "-0.50000"),
        (12.5, "12.50000"),
        (1234.5678, "1234.6"),
        (-1e-9, "0.00000"),
        (-0.0, "0.00000"),
        (math.nan, "-"),
        (math.inf, "-"),
    ],
)
def test_a_number_has_five_decimals_or_digits(value, text):
    assert number(value) == text


def test_a_signed_number_has_its_sign():
    assert [number(v, signed=True) for v in (0.001, -0.001, 250.0, -1e-9)] == [
        "+0.00100",
        "-0.00100",
        "+250",
        "+0.00000",
    ]


@settings(deadline=None)
@given(st.floats(-1e300, 1e300), st.booleans())
def test_a_number_reads_back_as_its_value_and_zero_is_never_negative(value, signed):
    text = number(value, signed)
    assert float(text) == pytest.approx(value, rel=1e-4, abs=6e-6)
    assert not (float(text) == 0 and text.startswith("-"))


@pytest.mark.parametrize(
    ("p", "text"), [(0.04, "0.0400"), (1.0, "1.0000"), (0.0001, "0.0001"), (0.00009, "<0.0001"), (math.nan, "-")]
)
def test_a_p_value_has_four_decimals_and_is_never_zero(p, text):
    assert p_value(p) == text


def test_a_spread_is_the_half_width_of_its_interval_if_it_has_one():
    assert spread(0.7, 0.69, 0.71) == "0.70000 ± 0.01000"
    assert spread(-0.01, -0.02, 0.0, signed=True) == "-0.01000 ± 0.01000"
    assert spread(0.7, math.nan, math.nan) == "0.70000"
    assert spread(math.nan, math.nan, math.nan) == "-"


def test_a_verdict_shows_what_could_be_detected_and_whether_the_exact_test_disagrees():
    row = {"verdict": "unresolved", "mde": 0.002, "robust": "agrees"}
    assert verdict_text(row) == "unresolved (mde 0.00200)"
    assert verdict_text({**row, "verdict": "better", "robust": "disagrees"}) == "better †"
    assert verdict_text({**row, "verdict": math.nan}) == "-"


def test_a_reference_on_the_methods_own_backbone_is_named_by_its_weighting():
    assert against("ple/rmtl", "ple/equal") == "equal"
    assert against("ple2/rmtl", "ple/equal") == "ple/equal"
    assert against("ple/rmtl", math.nan) == "-"


def test_chosen_metrics_come_in_the_order_asked_for():
    frame = pd.DataFrame({"metric": ["auc", "nll", "auc", "ne"], "row": range(4)})
    assert list(chosen(frame, ["nll", "auc"])["row"]) == [1, 0, 2]
    assert list(chosen(frame, None)["row"]) == [0, 1, 2, 3]
    assert list(chosen(frame, ["nll"]).columns) == ["metric", "row"]
