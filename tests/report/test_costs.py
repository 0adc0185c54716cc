"""What methods cost, beside their scores and apart from them."""

from __future__ import annotations

import io
import json
import math

import pandas as pd
import pytest

from rmtl_bench.report import LeaderboardSettings, build_leaderboard, leaderboard_document, render
from rmtl_bench.report.costs import COST_COLUMNS, cost_table
from rmtl_bench.statistics import Family

REFERENCE = Family("reference", ("*",), ("*/equal",))


def _runs(**seconds):
    """Runs of methods by name (``ple_rmtl``), with their seconds a step, on one data set."""
    rows = [
        ("toy", method.replace("_", "/"), seed, value, 1_234_567.0)
        for method, values in seconds.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["dataset", "method", "seed", "seconds_a_step", "parameters"])


def _by_method(table):
    return table.set_index("method").to_dict("index")


def test_the_median_over_seeds_and_its_ratio_to_that_of_the_declared_reference():
    table = cost_table(_runs(ple_equal=[2.0, 1.0, 9.0], ple_rmtl=[3.0, 5.0, 4.0], mmoe_rmtl=[7.0, 8.0]), REFERENCE)
    assert list(table.columns) == COST_COLUMNS
    rows = _by_method(table)
    assert (rows["ple/rmtl"]["seconds_a_step"], rows["ple/rmtl"]["ratio"], rows["ple/rmtl"]["n"]) == (4.0, 2.0, 3)
    assert rows["ple/rmtl"]["reference"] == "ple/equal"
    # No reference of its own, and none on its backbone.
    for method, seconds in {"ple/equal": 2.0, "mmoe/rmtl": 7.5}.items():
        assert rows[method]["seconds_a_step"] == seconds
        assert math.isnan(rows[method]["ratio"])
        assert pd.isna(rows[method]["reference"])


def test_the_reference_is_that_of_the_same_data_set():
    one = _runs(ple_equal=[1.0], ple_rmtl=[3.0])
    other = _runs(ple_equal=[2.0], ple_rmtl=[3.0]).assign(dataset="other")
    alone = _runs(ple_rmtl=[3.0]).assign(dataset="alone")
    table = cost_table(pd.concat([one, other, alone]), REFERENCE)
    ratios = table[table["method"] == "ple/rmtl"].set_index("dataset")["ratio"]
    assert (ratios["toy"], ratios["other"]) == (3.0, 1.5)
    assert math.isnan(ratios["alone"])


def test_runs_that_do_not_say_are_left_out_of_the_median_and_the_count():
    rows = _by_method(cost_table(_runs(ple_equal=[2.0, math.nan], ple_rmtl=[math.nan, math.nan]), REFERENCE))
    assert (rows["ple/equal"]["seconds_a_step"], rows["ple/equal"]["n"]) == (2.0, 1)
    assert (rows["ple/rmtl"]["n"], rows["ple/rmtl"]["parameters"]) == (0, 1_234_567)
    assert math.isnan(rows["ple/rmtl"]["seconds_a_step"])


def test_rows_stand_by_data_set_and_backbone_the_cheapest_first():
    table = cost_table(_runs(ple_rmtl=[3.0], ple_equal=[1.0], ple_old=[math.nan], mmoe_rmtl=[9.0]), REFERENCE)
    assert list(table["method"]) == ["mmoe/rmtl", "ple/equal", "ple/rmtl", "ple/old"]


@pytest.mark.parametrize("reference", [REFERENCE, None])
def test_of_nothing_there_is_an_empty_table(reference):
    for runs in (None, _runs()):
        table = cost_table(runs, reference)
        assert list(table.columns) == COST_COLUMNS
        assert len(table) == 0


@pytest.fixture(scope="module")
def boards(make_scores):
    """One and the same leaderboard without costs and with them."""
    scores = make_scores({"ple/equal": [0.6, 0.7, 0.65], "ple/rmtl": [0.7, 0.75, 0.74]})
    settings = LeaderboardSettings("t", {"auc": True}, reference=REFERENCE)
    costs = _runs(ple_equal=[0.00213456, 0.00213456], ple_rmtl=[0.0064, math.nan])
    return [build_leaderboard(scores, None, settings, given) for given in (None, costs)]


@pytest.fixture(scope="module")
def document(boards):
    return leaderboard_document(boards[1], ["auc"])


def test_costs_decide_nothing(boards):
    without, with_costs = boards
    pd.testing.assert_frame_equal(without.rows, with_costs.rows)
    pd.testing.assert_frame_equal(without.counts, with_costs.counts)
    assert "cost" not in render(leaderboard_document(without), "table")


def test_a_section_shows_seconds_ratio_reference_and_parameters(document):
    section = render(document, "table").split("\ncost\n")[1].split("\n\n")[0].splitlines()
    assert section[0].split("  ")[0] == "data set"
    assert [line.split() for line in section[2:]] == [
        ["toy", "ple/equal", "2", "0.00213", "-", "-", "1,234,567"],
        ["toy", "ple/rmtl", "1", "0.0064", "3.00", "equal", "1,234,567"],
    ]


@pytest.mark.parametrize("fmt", ["table", "markdown", "latex", "html"])
def test_every_text_format_has_the_section_and_what_it_means(document, fmt):
    text = " ".join(render(document, fmt).split())
    assert "1,234,567" in text
    assert "Runs shared the machine, so that only ratios mean something" in text


def test_json_and_csv_have_a_table_of_costs(document):
    costs = json.loads(render(document, "json"))["costs"]
    assert [(row["method"], row["n"], row["parameters"], row["reference"]) for row in costs] == [
        ("ple/equal", 2, 1_234_567, None),
        ("ple/rmtl", 1, 1_234_567, "ple/equal"),
    ]
    assert costs[0]["ratio"] is None
    table = pd.read_csv(io.StringIO(render(document, "csv")))
    rows = table[table["table"] == "costs"]
    assert rows["seconds_a_step"].tolist() == [0.00213456, 0.0064]
    assert rows["ratio"].tolist()[1] == pytest.approx(0.0064 / 0.00213456)
