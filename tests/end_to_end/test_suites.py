"""The suites that ship, run as a user runs them."""

from __future__ import annotations

import importlib.resources
import json

import pytest

pytestmark = pytest.mark.slow

WEIGHTINGS = ("fixed", "uncertainty", "rmtl", "rmtl-cw")


def _board(rmtl_bench, suite, store):
    shown = rmtl_bench("leaderboard", "--suite", suite, "--store", store, "--format", "json")
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


def test_smoke_fills_every_cell_and_runs_nothing_again(rmtl_bench, smoke_run):
    store = smoke_run.store
    again = rmtl_bench("run", "--suite", "smoke", "--store", store)
    assert again.returncode == 0
    assert "nothing to run" in again.stderr
    rows = _board(rmtl_bench, "smoke", store)["leaderboard"]
    assert {r["n"] for r in rows} == {3}
    assert {r["dataset"] for r in rows} == {"simulated", "kuairand-pure-sample"}
    assert {r["method"] for r in rows} == {f"{b}/{w}" for b in ("shared-bottom", "mmoe") for w in WEIGHTINGS}
    aucs = [r["mean"] for r in rows if r["metric"] == "auc"]
    assert min(aucs) > 0.6


def test_every_backbone_comes_close_to_the_best_possible(rmtl_bench, tmp_path):
    shipped = importlib.resources.files("rmtl_bench_rmtl") / "suites" / "control.toml"
    suite, store = tmp_path / "control.toml", tmp_path / "store"
    suite.write_text(shipped.read_text().replace("seeds = 3", "seeds = 1"))
    run = rmtl_bench("run", "--suite", suite, "--store", store)
    assert run.returncode == 0, run.stderr
    gaps = [r for r in _board(rmtl_bench, "control", store)["leaderboard"] if r["metric"] == "auc-gap"]
    assert {r["backbone"] for r in gaps} == {"single-task", "shared-bottom", "esmm", "mmoe", "ple"}
    for row in gaps:
        limit = {"click": 0.01, "purchase": 0.02}[row["task"]]
        # Below zero: the optimum is of the true probabilities, a model may fit a test split's noise a little.
        assert -0.002 < row["mean"] < limit, row


def test_the_samples_plan_names_all_that_the_paper_does(rmtl_bench, tmp_path):
    plan = rmtl_bench("run", "--suite", "paper", "--sample", "--dry-run", "--store", tmp_path / "store")
    assert plan.returncode == 0, plan.stderr
    assert "retailrocket: simulated-retail stands in for it" in plan.stderr
    assert "kuairand-1k: kuairand-pure-sample stands in for it" in plan.stderr
    cells = [line.split()[1].split("/") for line in plan.stdout.splitlines()]
    compared = {(b, w) for b in ("shared-bottom", "esmm", "mmoe", "ple") for w in WEIGHTINGS}
    assert {(c[1], c[2]) for c in cells} == compared | {("single-task", "fixed"), ("ple", "ddpg")}
    assert len(cells) == 2 * (4 * 4 + 2) * 3
