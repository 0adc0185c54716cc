"""The toy suite from the first run to the leaderboard, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def toy(toy_plugin, toy_suite):
    return ("--suite", toy_suite, "--plugin", toy_plugin)


@pytest.fixture(scope="module")
def finished(rmtl_bench, toy, tmp_path_factory):
    """A store in which the toy suite has run, and what the command said."""
    store = tmp_path_factory.mktemp("finished") / "store"
    return store, rmtl_bench("run", *toy, "--store", store)


def leaderboard(rmtl_bench, store):
    shown = rmtl_bench("leaderboard", "--suite", "toy", "--store", store, "--format", "json")
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


def test_a_suite_runs_and_says_what_it_does(finished):
    store, run = finished
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""
    assert "suite toy@1: 6 cells, 6 to run" in run.stderr
    assert "skipped toy-sessions/toy-needy/toy-equal: backbone 'toy-needy' requires 'moonlight'" in run.stderr
    assert "[6/6] ok" in run.stderr
    assert "6 ok in" in run.stderr
    assert not list((store / "staging").iterdir())


def test_a_second_run_runs_nothing_and_says_so(rmtl_bench, toy, finished):
    store, _ = finished
    before = sorted(p.name for p in (store / "runs").iterdir())
    again = rmtl_bench("run", *toy, "--store", store)
    assert again.returncode == 0
    assert "nothing to run: every cell has its run" in again.stderr
    assert sorted(p.name for p in (store / "runs").iterdir()) == before


def test_the_leaderboard_lists_every_cell_with_all_its_seeds(rmtl_bench, finished):
    board = leaderboard(rmtl_bench, finished[0])
    rows = board["leaderboard"]
    assert {(r["task"], r["metric"]) for r in rows} >= {
        (t, m) for t in ("click", "pay") for m in ("auc", "logloss", "session-logloss", "auc-gap")
    }
    assert {r["method"] for r in rows} == {"toy-logistic/toy-equal", "toy-logistic/toy-mgda"}
    assert all(r["n"] == r["expected"] == 3 for r in rows)
    assert board["missing"] == []
    assert any(note.startswith("skipped toy-sessions/toy-needy") for note in board["notes"])


def test_the_leaderboard_says_what_a_step_of_each_method_took(rmtl_bench, finished):
    costs = {row["method"]: row for row in leaderboard(rmtl_bench, finished[0])["costs"]}
    assert {row["n"] for row in costs.values()} == {3}
    equal, mgda = costs["toy-logistic/toy-equal"], costs["toy-logistic/toy-mgda"]
    assert 0 < equal["seconds_a_step"] < 10
    assert mgda["ratio"] == pytest.approx(mgda["seconds_a_step"] / equal["seconds_a_step"])
    assert (mgda["reference"], equal["reference"]) == ("toy-logistic/toy-equal", None)


def test_a_run_that_diverges_late_is_tested_and_in_no_leaderboard(rmtl_bench, toy_plugin, toy_suite, tmp_path):
    suite, store = tmp_path / "toy.toml", tmp_path / "store"
    late = (
        '[weightings.toy-equal]\n[weightings.late]\nplugin = "toy-equal"\nparameters = { behaviour = "diverge-later" }'
    )
    text = toy_suite.read_text().replace("[weightings.toy-equal]", late).replace("seeds = 3", "seeds = 1")
    suite.write_text(text.replace("[weightings.toy-mgda]\n", "").replace("toy-mgda", "late"))
    run = rmtl_bench("run", "--suite", suite, "--plugin", toy_plugin, "--store", store)
    assert run.returncode == 1
    told = [line.strip() for line in run.stderr.splitlines() if "DivergedError" in line]
    assert told == [
        "rmtl_bench.contracts.errors.DivergedError: stage 'train', epoch 2: the training loss is [nan, nan]"
    ]
    query = ("db", "sql", "SELECT weighting, metric FROM runs JOIN metrics USING (folder) WHERE status = 'diverged'")
    assert {row["metric"] for row in json.loads(rmtl_bench(*query, "--json", "--store", store).stdout)} >= {"auc"}
    board = leaderboard(rmtl_bench, store)
    assert {row["method"] for row in board["leaderboard"] if row["n"]} == {"toy-logistic/toy-equal"}
    assert {row["method"] for row in board["costs"]} == {"toy-logistic/toy-equal"}
    assert [row["method"] for row in board["missing"]] == ["toy-logistic/late"]


@pytest.mark.parametrize("fmt", ["table", "markdown", "latex", "html", "csv"])
def test_every_format_holds_both_methods(rmtl_bench, finished, fmt):
    shown = rmtl_bench("leaderboard", "--suite", "toy@1", "--store", finished[0], "--format", fmt)
    assert shown.returncode == 0, shown.stderr
    for method in ("toy-logistic/toy-equal", "toy-logistic/toy-mgda"):
        assert method in shown.stdout


def test_a_leaderboard_is_written_to_a_file(rmtl_bench, finished, tmp_path):
    target = tmp_path / "board.md"
    arguments = ("leaderboard", "--suite", "toy", "--store", finished[0], "--format", "markdown")
    written = rmtl_bench(*arguments, "--output", target)
    assert written.returncode == 0
    assert written.stdout == ""
    assert target.read_text() == rmtl_bench(*arguments).stdout


def test_compare_shows_one_pair(rmtl_bench, finished):
    pair = ("toy-logistic/toy-mgda", "toy-logistic/toy-equal")
    options = ("--suite", "toy", "--store", finished[0])
    shown = rmtl_bench("compare", *pair, *options, "--metric", "auc")
    assert shown.returncode == 0, shown.stderr
    assert "A: toy-logistic/toy-mgda, B: toy-logistic/toy-equal" in shown.stdout
    assert "auc (higher is better)" in shown.stdout
    assert "logloss (" not in shown.stdout
    unknown = rmtl_bench("compare", pair[0], "toy-logistic/toy-equl", *options)
    assert unknown.returncode == 2
    assert "did you mean 'toy-logistic/toy-equal'" in unknown.stderr


def test_the_index_answers_sql_and_is_made_again(rmtl_bench, finished):
    store, _ = finished
    query = ("db", "sql", "SELECT weighting, count(*) AS n FROM runs GROUP BY ALL ORDER BY ALL", "--json")
    counts = [{"weighting": "toy-equal", "n": 3}, {"weighting": "toy-mgda", "n": 3}]
    assert json.loads(rmtl_bench(*query, "--store", store).stdout) == counts
    (store / "results.duckdb").unlink()
    rebuilt = rmtl_bench("db", "rebuild", "--store", store)
    assert rebuilt.stdout == "6 runs indexed\n"
    assert json.loads(rmtl_bench(*query, "--store", store).stdout) == counts
    as_csv = rmtl_bench(*query[:3], "--csv", "--store", store)
    assert as_csv.stdout == "weighting,n\ntoy-equal,3\ntoy-mgda,3\n"
    refused = rmtl_bench("db", "sql", "DELETE FROM runs", "--store", store)
    assert refused.returncode == 2
    assert "read-only" in refused.stderr


def test_a_dry_run_prints_the_plan_and_makes_nothing(rmtl_bench, toy, tmp_path):
    plan = rmtl_bench("run", *toy, "--store", tmp_path / "store", "--dry-run")
    assert plan.returncode == 0
    lines = plan.stdout.splitlines()
    assert len(lines) == 6
    assert lines[0].endswith("toy-sessions/toy-logistic/toy-equal/0")
    assert not (tmp_path / "store").exists()


def test_only_runs_what_it_names_and_the_leaderboard_lists_the_rest_as_missing(rmtl_bench, toy, tmp_path):
    store = tmp_path / "store"
    run = rmtl_bench("run", *toy, "--store", store, "--only", "*/toy-equal")
    assert run.returncode == 0
    assert "3 cells, 3 to run" in run.stderr
    board = leaderboard(rmtl_bench, store)
    assert [(m["method"], m["seed"]) for m in board["missing"]] == [("toy-logistic/toy-mgda", s) for s in range(3)]
    assert "3 planned runs have no scores; they are listed below" in board["notes"]


def test_the_sample_says_on_top_what_stood_in_for_what(rmtl_bench, toy, tmp_path):
    store = tmp_path / "store"
    run = rmtl_bench("run", *toy, "--sample", "--store", store, "--only", "*/toy-equal")
    assert run.returncode == 0, run.stderr
    shown = rmtl_bench("leaderboard", "--suite", "toy", "--sample", "--store", store)
    assert shown.stdout.splitlines()[0] == "toy@1 (sample): A suite of seconds"
    assert "note: toy-sessions: toy-small stands in for it" in shown.stdout
    real = rmtl_bench("leaderboard", "--suite", "toy", "--store", store)
    assert real.returncode == 2
    assert "suite 'toy' has not been run" in real.stderr


def _started(rmtl_bench_environment, toy, store, runs):
    """Start the suite and return once ``runs`` of its runs are published."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "rmtl_bench.cli.main",
            "run",
            *map(str, toy),
            "--store",
            str(store),
            "--jobs",
            "1",
        ],
        env=rmtl_bench_environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while len(list((store / "runs").glob("*"))) < runs:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def _without_times(board):
    return {key: board[key] for key in ("leaderboard", "comparisons", "delta_m", "counts", "missing", "incomplete")}


def test_a_killed_command_goes_on_to_the_same_leaderboard(rmtl_bench, clean_environment, toy, finished, tmp_path):
    store = tmp_path / "store"
    process = _started(clean_environment, toy, store, 2)
    process.kill()
    process.communicate()
    kept = {p.name for p in (store / "runs").iterdir()}
    again = rmtl_bench("run", *toy, "--store", store)
    assert again.returncode == 0, again.stderr
    assert f"6 cells, {6 - len(kept)} to run" in again.stderr
    assert kept < {p.name for p in (store / "runs").iterdir()}
    assert not list((store / "staging").iterdir())
    assert _without_times(leaderboard(rmtl_bench, store)) == _without_times(leaderboard(rmtl_bench, finished[0]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_an_interrupted_command_keeps_what_is_finished_and_says_how_to_go_on(
    rmtl_bench, clean_environment, toy, tmp_path, number
):
    store = tmp_path / "store"
    process = _started(clean_environment, toy, store, 1)
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "of 6 runs are published; go on with\n  rmtl-bench run --suite" in said
    assert "Traceback" not in said
    published = len(list((store / "runs").iterdir()))
    assert 1 <= published < 6
    assert not list((store / "staging").iterdir())
    counted = rmtl_bench("db", "sql", "SELECT count(*) AS n FROM runs", "--json", "--store", store)
    assert json.loads(counted.stdout) == [{"n": published}]


def _misbehaving(toy_suite, folder, behaviour):
    """A suite of two runs whose weighting does as it is told."""
    text = toy_suite.read_text().replace("[weightings.toy-mgda]", "").replace('"toy-mgda"', "")
    told = f"[weightings.toy-equal]\nparameters = {{ {behaviour} }}"
    text = text.replace("*/toy-mgda", "*/toy-equal").replace("[weightings.toy-equal]", told)
    suite = folder / "toy.toml"
    suite.write_text(text.replace("seeds = 3", "seeds = 2"))
    return suite


def test_failed_runs_are_rows_and_are_retried_on_request(rmtl_bench, toy_plugin, toy_suite, tmp_path):
    suite = _misbehaving(toy_suite, tmp_path, 'behaviour = "raise"')
    store, options = tmp_path / "store", ("--suite", suite, "--plugin", toy_plugin)
    run = rmtl_bench("run", *options, "--store", store)
    assert run.returncode == 1
    assert "2 failed in" in run.stderr
    error = rmtl_bench("db", "sql", "SELECT error FROM runs WHERE status = 'failed'", "--store", store)
    assert "the toy was told to raise" in error.stdout
    again = rmtl_bench("run", *options, "--store", store)
    assert again.returncode == 1
    assert "2 cells, 0 to run" in again.stderr
    assert "2 failed earlier: --retry failed runs them again" in again.stderr
    retried = rmtl_bench("run", *options, "--store", store, "--retry", "failed")
    assert retried.returncode == 1
    assert [p.name.count(".") for p in sorted(Path(store / "runs").iterdir())] == [0, 1, 0, 1]


def test_a_killed_run_is_made_again_at_once(rmtl_bench, toy_plugin, toy_suite, tmp_path):
    suite = _misbehaving(toy_suite, tmp_path, f'behaviour = "kill", flag = "{tmp_path / "was-killed"}"')
    run = rmtl_bench("run", "--suite", suite, "--plugin", toy_plugin, "--store", tmp_path / "store", "--jobs", "1")
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("is made again: the run's process was killed by SIGKILL") == 1
    assert "2 ok in" in run.stderr
