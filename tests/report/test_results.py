from __future__ import annotations

import subprocess
import sys

import pytest

import rmtl_bench
from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.contracts.errors import StoreError, UsageError
from rmtl_bench.store import PlannedCell, Store, StoredPlan, save_plan
from rmtl_bench.store.run_files import RunRecord, write_run, write_table

TIME = "2026-01-01T00:00:00.000+00:00"
STATISTICS = {
    "reference": "*/plain",
    "scope": "same-backbone",
    "delta_m": "",
    "headline": [],
    "equivalence": {"auc": 0.001},
    "comparisons": [],
}


@pytest.fixture(scope="module")
def store_path(tmp_path_factory):
    """One suite of two weightings and five seeds, the one better by .02 to .024."""
    store = Store.open(tmp_path_factory.mktemp("results") / "store")
    cells = []
    for weighting, gain in (("plain", 0.0), ("mine", 0.02)):
        for seed in range(5):
            parts = [Component(name, name, 1, "d", "1") for name in ("sessions", "logistic", weighting)]
            cell = Cell(parts[0], "0" * 16, *parts[1:], {}, ("auc",), seed)
            staging = store.staging_folder(cell.run_id)
            write_run(staging, RunRecord(cell.run_id, cell, "ok", TIME, TIME, {"total": 1.0}))
            value = 0.6 + seed / 100 + gain * (1 + seed / 20)
            row = {"task": ["click"], "metric": ["auc"], "value": [value], "higher_is_better": [True]}
            write_table(staging, "metrics", row)
            store.publish(staging, cell.run_id)
            cells.append(PlannedCell(cell.run_id, "sessions", "logistic", weighting, seed))
    save_plan(store, StoredPlan("tiny", 1, "d", tuple(cells), metrics=("auc",), statistics=STATISTICS))
    return store.path


def test_a_store_gives_its_scores_as_a_frame(store_path):
    results = rmtl_bench.open(store_path)
    assert results.suites == ["tiny@1"]
    scores = results.scores()
    assert len(scores) == 10
    assert {"run_id", "method", "seed", "value", "fingerprint", "higher_is_better"} <= set(scores.columns)
    assert len(results.scores("tiny")) == 10


def test_scores_go_straight_into_the_statistics(store_path):
    from rmtl_bench.statistics import Family, run_families

    scores = rmtl_bench.open(str(store_path)).scores("tiny@1")
    (row,) = run_families(scores, [Family("f", ("*/mine",), ("*/plain",))], {"auc": True}, {}).to_dict("records")
    assert (row["n"], row["verdict"], row["difference"]) == (5, "better", pytest.approx(0.022))


def test_the_only_suite_needs_no_name(store_path):
    results = rmtl_bench.open(store_path)
    rows = results.leaderboard().rows.set_index("method")
    assert rows.loc["logistic/mine", "verdict"] == "better"
    assert (
        results.leaderboard(against="logistic/mine").rows.set_index("method").loc["logistic/plain", "verdict"]
        == "worse"
    )
    pair = results.compare("logistic/mine", "logistic/plain", protocol="wilcoxon").rows
    assert list(pair["verdict"]) == ["n too small"]


def test_a_leaderboard_shows_itself_in_a_notebook(store_path):
    page = rmtl_bench.open(store_path).leaderboard()._repr_html_()
    assert "<table>" in page
    assert "logistic/mine" in page


def test_the_report_is_one_file(store_path, tmp_path):
    path = rmtl_bench.open(store_path).report(tmp_path / "report.html")
    assert path == tmp_path / "report.html"
    assert "logistic/mine" in path.read_text(encoding="utf-8")


def test_a_name_that_there_is_not_is_refused(store_path):
    with pytest.raises(UsageError, match=r"suite 'tini' has not been run in .*did you mean 'tiny@1'"):
        rmtl_bench.open(store_path).leaderboard("tini")


def test_of_several_suites_one_has_to_be_named(tmp_path):
    store = Store.open(tmp_path / "store")
    with pytest.raises(UsageError, match=r"holds 0 suites \(none\); name one"):
        rmtl_bench.open(store.path).leaderboard()
    for version in (1, 2):
        save_plan(store, StoredPlan("tiny", version, "d", (), statistics=STATISTICS))
    with pytest.raises(UsageError, match=r"holds 2 suites \(tiny@1, tiny@2\); name one"):
        rmtl_bench.open(store.path).leaderboard()


def test_a_folder_without_a_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match="there is no store at"):
        rmtl_bench.open(tmp_path / "nothing")


def test_importing_the_package_draws_in_nothing():
    code = "import sys, rmtl_bench; sys.exit(any(m in sys.modules for m in ('numpy', 'pandas', 'duckdb', 'torch')))"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0
