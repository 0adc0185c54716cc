from __future__ import annotations

import subprocess
import sys

import pytest

import rmtl_bench
from rmtl_bench.contracts.errors import StoreError, UsageError
from rmtl_bench.store import Store, StoredPlan, save_plan


def test_a_store_gives_its_scores_as_a_frame(small_store):
    results = rmtl_bench.open(small_store)
    assert results.suites == ["tiny@1"]
    scores = results.scores()
    assert len(scores) == 10
    assert {"run_id", "method", "seed", "value", "fingerprint", "higher_is_better"} <= set(scores.columns)
    assert len(results.scores("tiny")) == 10


def test_scores_go_straight_into_the_statistics(small_store):
    from rmtl_bench.statistics import Family, run_families

    scores = rmtl_bench.open(str(small_store)).scores("tiny@1")
    (row,) = run_families(scores, [Family("f", ("*/mine",), ("*/plain",))], {"auc": True}, {}).to_dict("records")
    assert (row["n"], row["verdict"], row["difference"]) == (5, "better", pytest.approx(0.022))


def test_the_only_suite_needs_no_name(small_store):
    results = rmtl_bench.open(small_store)
    rows = results.leaderboard().rows.set_index("method")
    assert rows.loc["logistic/mine", "verdict"] == "better"
    assert (
        results.leaderboard(against="logistic/mine").rows.set_index("method").loc["logistic/plain", "verdict"]
        == "worse"
    )
    pair = results.compare("logistic/mine", "logistic/plain", protocol="wilcoxon").rows
    assert list(pair["verdict"]) == ["n too small"]


def test_a_leaderboard_shows_itself_in_a_notebook(small_store):
    page = rmtl_bench.open(small_store).leaderboard()._repr_html_()
    assert "<table>" in page
    assert "logistic/mine" in page


def test_the_report_is_one_file(small_store, tmp_path):
    path = rmtl_bench.open(small_store).report(tmp_path / "report.html")
    assert path == tmp_path / "report.html"
    assert "logistic/mine" in path.read_text(encoding="utf-8")


def test_a_name_that_there_is_not_is_refused(small_store):
    with pytest.raises(UsageError, match=r"suite 'tini' has not been run in .*did you mean 'tiny@1'"):
        rmtl_bench.open(small_store).leaderboard("tini")


def test_of_several_suites_one_has_to_be_named(tmp_path):
    store = Store.open(tmp_path / "store")
    with pytest.raises(UsageError, match=r"holds 0 suites \(none\); name one"):
        rmtl_bench.open(store.path).leaderboard()
    for version in (1, 2):
        save_plan(store, StoredPlan("tiny", version, "d", (), statistics={}))
    with pytest.raises(UsageError, match=r"holds 2 suites \(tiny@1, tiny@2\); name one"):
        rmtl_bench.open(store.path).leaderboard()


def test_a_folder_without_a_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match="there is no store at"):
        rmtl_bench.open(tmp_path / "nothing")


def test_importing_the_package_draws_in_nothing():
    code = "import sys, rmtl_bench; sys.exit(any(m in sys.modules for m in ('numpy', 'pandas', 'duckdb', 'torch')))"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0
