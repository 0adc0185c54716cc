"""How many seeds a difference takes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import TTestPower

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report import FORMATS, read_stored_suite, render
from rmtl_bench.report.power_table import PLAN_COLUMNS, plan_document, suite_power_document
from rmtl_bench.store import Store

SEEDS = 5
STATISTICS = {
    "reference": "*/equal",
    "scope": "same-backbone",
    "delta_m": "",
    "headline": ["auc"],
    "equivalence": {"auc": 0.01, "logloss": "1%"},
    "comparisons": [
        {"name": "mine", "candidates": ["*/mine"], "references": ["*/other"], "scope": "all", "control": False}
    ],
}
DIFFERENCES = np.array([0.010, 0.014, 0.006, 0.012, 0.018])


@pytest.fixture(scope="module")
def suite(tmp_path_factory, publish_cell, plan_cells):
    """Three methods, two tasks, two metrics; ``gap`` has no equivalence region; mine differs by DIFFERENCES in AUC."""
    store = Store.open(tmp_path_factory.mktemp("power") / "store")
    cells = []
    rng = np.random.default_rng(1)
    for seed in range(SEEDS):
        for weighting in ("equal", "mine", "other"):
            auc = 0.7 + (DIFFERENCES[seed] if weighting == "mine" else 0.0)
            auc += rng.normal(0, 0.01) if weighting == "other" else 0.0
            metrics = [("click", "auc", auc, True), ("click", "logloss", 0.5 - auc / 10 + seed / 50, False)]
            metrics.append(("click", "gap", 1 - auc, False))
            cells.append(publish_cell(store, weighting, seed, metrics=metrics))
    plan_cells(store, cells, statistics=STATISTICS)
    return read_stored_suite(store, "tiny")


def _row(document, **wanted):
    table = document.tables["power"]
    for column, value in wanted.items():
        table = table[table[column] == value]
    (row,) = table.to_dict("records")
    return row


@pytest.mark.parametrize("comparisons", [1, 24])
def test_the_seeds_are_those_of_the_noncentral_t(comparisons):
    row = _row(plan_document(0.0016, difference=0.002, comparisons=comparisons))
    level = 0.05 / comparisons
    power = [TTestPower().power(0.002 / 0.0016, n, level) for n in (row["seeds"] - 1, row["seeds"])]
    assert power[0] < 0.8 <= power[1]


@pytest.mark.parametrize(("comparisons", "seeds"), [(1, 6), (6, 8), (24, 10)])
def test_the_seeds_that_an_exact_test_needs_stand_beside(comparisons, seeds):
    assert _row(plan_document(1.0, difference=1.0, comparisons=comparisons))["reachable"] == seeds


def test_seeds_give_the_difference_that_they_find():
    row = _row(plan_document(0.0016, seeds=10, comparisons=6, power=0.9))
    assert row["difference"] == pytest.approx(0.0016 * TTestPower().solve_power(nobs=10, alpha=0.05 / 6, power=0.9))
    back = _row(plan_document(0.0016, difference=row["difference"] * 1.0001, comparisons=6, power=0.9))
    assert back["seeds"] == 10


def test_the_title_is_the_answer():
    assert plan_document(0.0016, difference=0.002).title == "8 seeds are needed to see a difference of 0.002"
    assert plan_document(0.0016, seeds=10).title == "10 seeds see a difference of 0.00159"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"difference": 0.0}, "--difference 0 is no size"),
        ({"difference": -1.0}, "--difference -1 is no size"),
        ({"difference": float("nan")}, "--difference nan is no size"),
        ({"difference": 1.0, "sd": 0.0}, "--sd 0 is no size"),
        ({"difference": 1.0, "sd": float("inf")}, "--sd inf is no size"),
        ({"difference": 1.0, "power": 1.0}, "--power 1 is no power"),
        ({"difference": 1.0, "power": 0.0}, "--power 0 is no power"),
        ({"difference": 1.0, "comparisons": 0}, "--comparisons 0 is no number of tests"),
        ({"seeds": 2}, "--seeds 2 is too few"),
        ({"seeds": -3}, "--seeds -3 is too few"),
        ({}, "give one of --difference and --seeds"),
        ({"difference": 1.0, "seeds": 9}, "give one of --difference and --seeds"),
        ({"difference": 1e-300, "sd": 1e300}, "no number of seeds is enough"),
    ],
)
def test_nonsense_is_refused_in_one_line(given, said):
    with pytest.raises(UsageError, match=said) as caught:
        plan_document(**{"sd": 1.0, **given})
    assert "\n" not in str(caught.value)


def test_a_suite_has_a_row_a_declared_comparison_with_the_sd_of_its_differences(suite):
    row = _row(suite_power_document(suite), family="reference", metric="auc", candidate="ple/mine")
    sd = DIFFERENCES.std(ddof=1)
    assert row["sd"] == pytest.approx(sd)
    assert (row["n"], row["comparisons"], row["reference"]) == (SEEDS, 2, "ple/equal")
    effect = TTestPower().solve_power(nobs=SEEDS, alpha=0.05 / 2, power=0.8)
    assert row["detectable"] == pytest.approx(effect * sd)
    assert row["difference"] == 0.01
    assert TTestPower().power(0.01 / sd, row["seeds"] - 1, 0.025) < 0.8


def test_a_region_in_percent_is_of_the_references_mean(suite):
    row = _row(suite_power_document(suite), family="mine", metric="logloss")
    mean = suite.scores.query("metric == 'logloss' and method == 'ple/other'")["value"].mean()
    assert row["difference"] == pytest.approx(0.01 * mean)


def test_a_metric_without_region_has_no_seeds_unless_a_difference_is_given(suite):
    document = suite_power_document(suite, ["gap"])
    assert pd.isna(_row(document, family="mine", metric="gap")["seeds"])
    assert document.sections[0].rows[0][-2:] == ("-", "-")
    assert any(line.startswith("A dash under 'to see'") for line in document.footnotes)
    given = suite_power_document(suite, ["gap"], difference=0.01)
    assert _row(given, family="mine", metric="gap")["seeds"] > 0
    assert not any(line.startswith("A dash") for line in given.footnotes)


def test_another_reference_stands_in_for_all_that_are_declared(suite):
    table = suite_power_document(suite, against_pattern="*/other").tables["power"]
    assert set(table["reference"]) == {"ple/other"}
    assert set(table["candidate"]) == {"ple/equal", "ple/mine"}
    with pytest.raises(UsageError, match=r"--against '\*/othr' matches no method; did you mean '\*/other'"):
        suite_power_document(suite, against_pattern="*/othr")


def test_nonsense_is_refused_for_a_suite_too(suite):
    for given in ({"difference": -1.0}, {"power": 2.0}, {"difference": 1e-12}):
        with pytest.raises(UsageError, match=r"^--"):
            suite_power_document(suite, **given)


def test_a_suite_with_one_seed_has_dashes(suite):
    single = replace(suite, scores=suite.scores[suite.scores["seed"] == 0])
    rows = [row for section in suite_power_document(single).sections for row in section.rows]
    assert rows
    assert {row[4:7] + row[8:] for row in rows} == {("1", "-", "-", "-")}


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_has_both_kinds(suite, fmt):
    text = render(suite_power_document(suite, ["auc"]), fmt)
    for word in ("ple/mine", "click"):
        assert word in text
    assert "0.0016" in render(plan_document(0.0016, difference=0.002), fmt)


def test_the_table_fits_a_terminal_and_json_is_plain(suite):
    document = suite_power_document(suite)
    assert max(map(len, render(document, "table").splitlines())) <= 120
    rows = json.loads(render(document, "json"))["power"]
    assert all(isinstance(row["seeds"], int | None) for row in rows)
    plan = json.loads(render(plan_document(0.0016, difference=0.002), "json"))["power"]
    assert list(plan[0]) == PLAN_COLUMNS
