"""``rmtl-bench power``, as a user types it."""

from __future__ import annotations

import json

import pytest

from rmtl_bench.store import Store

STATISTICS = {
    "reference": "*/equal",
    "scope": "same-backbone",
    "delta_m": "",
    "headline": ["auc"],
    "equivalence": {"auc": 0.01},
    "comparisons": [],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory, publish_cell, plan_cells):
    store = Store.open(tmp_path_factory.mktemp("power") / "store")
    cells = []
    for seed in range(4):
        cells.append(publish_cell(store, "equal", seed, metrics=[("click", "auc", 0.5, True)]))
        cells.append(publish_cell(store, "mine", seed, metrics=[("click", "auc", 0.5 + seed / 100, True)]))
    plan_cells(store, cells, statistics=STATISTICS)
    return store.path


def test_without_a_store_the_number_of_seeds_is_printed(rmtl_bench, tmp_path):
    shown = rmtl_bench("power", "--difference", 0.002, "--sd", 0.0016, "--store", tmp_path / "none")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("8 seeds are needed to see a difference of 0.002\n")
    assert not (tmp_path / "none").exists()
    found = rmtl_bench("power", "--seeds", 10, "--sd", 0.0016, "--comparisons", 6, "--format", "json")
    (row,) = json.loads(found.stdout)["power"]
    assert (row["seeds"], row["comparisons"], row["reachable"]) == (10, 6, 8)


@pytest.mark.parametrize("fmt", ["table", "markdown", "latex", "html", "csv", "json"])
def test_a_suite_is_shown_in_every_format_and_written(rmtl_bench, store, tmp_path, fmt):
    options = ("power", "--suite", "tiny", "--store", store, "--format", fmt)
    shown = rmtl_bench(*options)
    assert shown.returncode == 0, shown.stderr
    assert "ple/mine" in shown.stdout
    target = tmp_path / "power"
    assert rmtl_bench(*options, "--output", target).stdout == ""
    assert target.read_text() == shown.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--difference", 0, "--sd", 1), "--difference 0 is no size; it takes a number above 0"),
        (("--difference", 1, "--sd", -1), "--sd -1 is no size"),
        (("--difference", 1, "--sd", 1, "--power", 1.5), "--power 1.5 is no power"),
        (("--difference", "much", "--sd", 1), "'much' is not a valid float"),
        (("--difference", 1), "give --sd with --difference or --seeds"),
        (("--sd", 1, "--sample"), "--sample needs --suite"),
        (("--sd", 1, "--seeds", 9, "--metric", "auc"), "--metric is for --suite NAME"),
        (("--suite", "tiny", "--sd", 1), "--sd goes without --suite"),
        (("--suite", "tiny", "--against", "*/eqal"), "did you mean '*/equal'"),
        (("--suite", "tiny", "--metric", "ac"), "unknown metric 'ac'"),
        (("--suite", "tinny"), "did you mean 'tiny@1'"),
    ],
)
def test_what_cannot_be_is_one_line(rmtl_bench, store, arguments, said):
    refused = rmtl_bench("power", "--store", store, *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert said in line
