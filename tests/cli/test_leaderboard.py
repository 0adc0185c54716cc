"""What leaderboard and compare can be asked for, on a store that no training made."""

from __future__ import annotations

import csv
import io
import json

import pytest

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.store import PlannedCell, Store, StoredPlan, save_plan
from rmtl_bench.store.run_files import RunRecord, write_predictions, write_run, write_table

TIME = "2026-01-01T00:00:00.000+00:00"
SEEDS = 5
STATISTICS = {
    "reference": "*/plain",
    "scope": "same-backbone",
    "delta_m": "",
    "headline": ["auc"],
    "equivalence": {"auc": 0.001},
    "comparisons": [],
}
GAINS = {"plain": 0.0, "mine": 0.02, "worse": -0.02}


def publish(store, weighting, seed, gain):
    parts = [Component(name, name, 1, "d", "1") for name in ("sessions", "ple", weighting)]
    cell = Cell(parts[0], "0" * 16, *parts[1:], {}, ("auc", "logloss"), seed)
    staging = store.staging_folder(cell.run_id)
    write_run(staging, RunRecord(cell.run_id, cell, "ok", TIME, TIME, {"total": 1.0}))
    auc = 0.7 + seed / 100 + gain * (1 + seed / 50)
    rows = [(t, m, v, m == "auc") for t in ("click", "pay") for m, v in (("auc", auc), ("logloss", 1 - auc))]
    names = ("task", "metric", "value", "higher_is_better")
    write_table(staging, "metrics", dict(zip(names, zip(*rows, strict=True), strict=True)))
    predicted = [0.1 + 0.1 * ((i + seed) % 8) + gain for i in range(24)]
    columns = {"row": list(range(24)), "session": [i // 3 for i in range(24)]}
    for task in ("click", "pay"):
        columns |= {f"label_{task}": [float(i % 3 == 0) for i in range(24)], f"score_{task}": predicted}
    write_predictions(staging, columns)
    store.publish(staging, cell.run_id)
    return PlannedCell(cell.run_id, "sessions", "ple", weighting, seed)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store.open(tmp_path_factory.mktemp("leaderboard") / "store")
    cells = [publish(store, weighting, seed, gain) for weighting, gain in GAINS.items() for seed in range(SEEDS)]
    plan = StoredPlan("tiny", 1, "d", tuple(cells), metrics=("auc", "logloss"), statistics=STATISTICS)
    save_plan(store, plan)
    return store.path


@pytest.fixture(scope="module")
def leaderboard(rmtl_bench, store):
    return lambda *arguments: rmtl_bench("leaderboard", "--suite", "tiny", "--store", store, *arguments)


def test_an_order_makes_one_table_of_all_cells(leaderboard):
    shown = leaderboard("--by", "pay:auc")
    assert shown.returncode == 0, shown.stderr
    assert "sessions, by pay auc, against plain" in shown.stdout
    rows = [line.split()[:2] for line in shown.stdout.splitlines() if " ple/" in line]
    assert rows == [["1", "ple/mine"], ["2", "ple/plain"], ["3", "ple/worse"]]


def test_an_unknown_order_is_one_line(leaderboard):
    shown = leaderboard("--by", "pey:auc")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.startswith(
        "error: --by 'pey:auc' is no TASK, METRIC or TASK:METRIC of these scores; did you mean"
    )
    assert len(shown.stderr.splitlines()) == 1


def test_another_reference_turns_the_verdicts_and_is_called_exploratory(leaderboard):
    rows = json.loads(leaderboard("--against", "*/mine", "--format", "json").stdout)
    verdicts = {row["method"]: row["verdict"] for row in rows["leaderboard"] if row["metric"] == "auc"}
    assert verdicts == {"ple/plain": "worse", "ple/mine": None, "ple/worse": "worse"}
    assert "against */mine in place of the declared */plain: exploratory" in rows["notes"]


def test_five_seeds_are_too_few_for_an_exact_test(leaderboard):
    rows = json.loads(leaderboard("--protocol", "wilcoxon", "--format", "json").stdout)
    assert rows["settings"]["protocol"] == "wilcoxon"
    assert {row["verdict"] for row in rows["leaderboard"] if row["method"] != "ple/plain"} == {"n too small"}


def test_the_papers_protocol_warns(leaderboard):
    shown = leaderboard("--protocol", "rmtl-paper")
    assert "note: protocol rmtl-paper repeats the practice of the paper, for comparison with it only" in shown.stdout
    assert "stars as in the paper" in shown.stdout


def test_the_protocols_of_the_options_are_those_of_the_statistics():
    from rmtl_bench.cli.options import PROTOCOLS as OPTIONS
    from rmtl_bench.statistics import DEFAULT_PROTOCOL, PROTOCOLS

    assert set(OPTIONS) == set(PROTOCOLS)
    assert OPTIONS[0] == DEFAULT_PROTOCOL


def test_csv_holds_every_metric_whatever_is_shown(leaderboard):
    rows = list(csv.DictReader(io.StringIO(leaderboard("--format", "csv", "--metric", "auc").stdout)))
    assert {row["metric"] for row in rows if row["table"] == "leaderboard"} == {"auc", "logloss"}


def test_a_comparison_shows_both_sources_of_variance(rmtl_bench, store):
    asked = ("compare", "ple/mine", "ple/plain", "--suite", "tiny", "--store", store, "--metric", "all")
    shown = rmtl_bench(*asked, "--sessions", "--draws", "100")
    assert shown.returncode == 0, shown.stderr
    assert "A: ple/mine, B: ple/plain · seeds and test sessions" in shown.stdout
    lines = [line.split() for line in shown.stdout.splitlines() if line.startswith("sessions")]
    both = [line for line in lines if line[2] in ("auc", "logloss")]
    assert [line[1:5] for line in both] == [[t, m, "5", "8"] for t in ("click", "pay") for m in ("auc", "logloss")]
    assert "seeds and test sessions" not in rmtl_bench(*asked).stdout
