from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report import build_leaderboard, leaderboard_document, read_stored_suite, render
from rmtl_bench.statistics import PROTOCOLS
from rmtl_bench.store import PlannedCell, Store, StoredPlan, save_plan
from rmtl_bench.store.run_files import RunRecord, write_run, write_table

TIME = "2026-01-01T00:00:00.000+00:00"
SEEDS = 3
# What the suite calls a weighting -> what another suite called it when it was run.
WEIGHTINGS = {"plain": "equal", "mine": "rmtl"}
STATISTICS = {
    "reference": "*/plain",
    "scope": "same-backbone",
    "delta_m": "",
    "headline": ["logloss", "ne"],
    "equivalence": {"auc": 0.001},
    "comparisons": [
        {"name": "further", "candidates": ["*/mine"], "references": ["*/plain"], "scope": "same-backbone"},
    ],
}


def _cell(weighting: str, seed: int) -> Cell:
    dataset, backbone, other = (Component(n, n, 1, "d", "1") for n in ("sessions", "logistic", weighting))
    return Cell(dataset, "0" * 16, backbone, other, {}, ("logloss", "auc"), seed)


def _publish(store: Store, cell: Cell, status: str = "ok", offset: float = 0.0, **facts) -> None:
    staging = store.staging_folder(cell.run_id)
    error = "" if status == "ok" else "no"
    write_run(staging, RunRecord(cell.run_id, cell, status, TIME, TIME, {"total": 1.0}, error, facts))
    if status in ("ok", "diverged"):
        value = 0.6 + cell.seed / 100 + offset
        rows = [("click", "auc", value, True), ("click", "logloss", value, False), ("click", "auc-gap", value, False)]
        names = ("task", "metric", "value", "higher_is_better")
        write_table(staging, "metrics", dict(zip(names, zip(*rows, strict=True), strict=True)))
    store.publish(staging, cell.run_id)


def _plan(version: int = 1, seeds: int = SEEDS, **changed) -> StoredPlan:
    cells = tuple(
        PlannedCell(_cell(plugin, seed).run_id, "sessions", "logistic", label, seed)
        for seed in range(seeds)
        for label, plugin in WEIGHTINGS.items()
    )
    values = {"digest": "d", "title": "A suite", "notes": ("read this first",), "statistics": STATISTICS, **changed}
    return StoredPlan("tiny", version, cells=cells, metrics=("logloss", "auc"), **values)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """All runs of ``plain``; of ``mine`` one failed and was not made again, and one was made at the second attempt."""
    store = Store.open(tmp_path_factory.mktemp("report") / "store")
    for seed in range(SEEDS):
        _publish(store, _cell("equal", seed))
    _publish(store, _cell("rmtl", 0), offset=0.02)
    _publish(store, _cell("rmtl", 1), "failed")
    _publish(store, _cell("rmtl", 1), offset=0.03)
    _publish(store, _cell("rmtl", 2), "failed")
    # A run that is in no plan here.
    _publish(store, _cell("stranger", 0))
    save_plan(store, _plan(skipped=({"label": "sessions/needy/plain", "reason": "no moonlight"},)))
    save_plan(store, _plan(2, seeds=1, digest="e"))
    return store


def test_scores_are_named_as_the_plan_names_them_and_not_as_the_run_did(store):
    suite = read_stored_suite(store, "tiny@1")
    assert set(suite.scores["method"]) == {"logistic/plain", "logistic/mine"}
    assert set(suite.scores["weighting"]) == {"plain", "mine"}
    rows = suite.scores[(suite.scores["method"] == "logistic/mine") & (suite.scores["metric"] == "auc")]
    assert dict(zip(rows["seed"], rows["value"], strict=True)) == pytest.approx({0: 0.62, 1: 0.64})


def test_a_run_that_the_suite_does_not_have_is_left_out(store):
    suite = read_stored_suite(store, "tiny@1")
    assert len(suite.scores) == 5 * 3


def test_metrics_come_in_the_suites_order_with_their_directions(store):
    suite = read_stored_suite(store, "tiny@1")
    assert dict(suite.higher_is_better) == {"logloss": False, "auc": True, "auc-gap": False}
    assert list(suite.higher_is_better) == ["logloss", "auc", "auc-gap"]


def test_planned_runs_are_expected_and_how_they_ended_is_noted(store):
    suite = read_stored_suite(store, "tiny@1")
    assert len(suite.expected) == 6
    assert ("sessions", "logistic/mine", 2) in suite.expected
    notes = suite.settings().notes
    assert notes[0] == "read this first"
    assert "skipped sessions/needy/plain: no moonlight" in notes
    assert [note for note in notes if note.startswith("runs that ended")] == ["runs that ended as failed: 1"]


def test_the_highest_version_is_read_unless_one_is_named(store):
    assert len(read_stored_suite(store, "tiny").expected) == 2
    assert read_stored_suite(store, "tiny").settings().title == "tiny@2: A suite"
    assert read_stored_suite(store, "tiny@1").settings().title == "tiny@1: A suite"


def test_the_headline_is_shown_unless_metrics_are_asked_for(store):
    suite = read_stored_suite(store, "tiny@1")
    # No run has "ne".
    assert suite.shown(()) == ["logloss"]
    assert suite.shown(["auc-gap", "auc"]) == ["auc-gap", "auc"]
    assert suite.shown(["all"]) is None


def test_without_a_headline_everything_is_shown(tmp_path):
    store = Store.open(tmp_path / "store")
    _publish(store, _cell("equal", 0))
    save_plan(store, _plan(statistics={**STATISTICS, "headline": []}))
    assert read_stored_suite(store, "tiny").shown(()) is None


def test_an_unknown_metric_is_refused_with_a_hint(store):
    with pytest.raises(UsageError, match="unknown metric 'logless'; did you mean 'logloss'"):
        read_stored_suite(store, "tiny@1").shown(["logless"])


@pytest.mark.parametrize(("name", "hint"), [("tinny", "did you mean"), ("tiny@7", "has not been run")])
def test_a_suite_that_was_not_run_is_refused(store, name, hint):
    with pytest.raises(UsageError, match=f"suite '{name}' has not been run in .*") as caught:
        read_stored_suite(store, name)
    assert hint in str(caught.value)


def test_a_version_that_is_no_number_is_refused(store):
    with pytest.raises(UsageError, match="version 'new'; it has to be a whole number"):
        read_stored_suite(store, "tiny@new")


def test_a_sample_is_a_suite_of_its_own(store):
    with pytest.raises(UsageError, match=r"tiny\+sample"):
        read_stored_suite(store, "tiny", sample=True)


def test_a_suite_without_a_run_that_ended_well_can_be_read_and_says_how_its_runs_ended(tmp_path):
    store = Store.open(tmp_path / "store")
    _publish(store, _cell("equal", 0), "failed")
    save_plan(store, _plan())
    suite = read_stored_suite(store, "tiny")
    assert suite.scores.empty
    assert suite.ended_badly() == {"failed": 1}
    board = build_leaderboard(suite.scores, suite.expected, suite.settings(), suite.costs)
    assert (len(board.rows), len(board.missing)) == (0, 6)
    with pytest.raises(UsageError, match=r"no run of tiny@1 in .* has ended well yet \(1 failed; .* shows why\)"):
        suite.require_scores(store)


def test_only_the_metrics_asked_for_are_read(store):
    assert set(read_stored_suite(store, "tiny@1", metrics=["auc"]).scores["metric"]) == {"auc"}
    # The headline names logloss, and a metric that no run has.
    assert set(read_stored_suite(store, "tiny@1", metrics=[]).scores["metric"]) == {"logloss"}
    assert set(read_stored_suite(store, "tiny@1", metrics=["all"]).scores["metric"]) == {"auc", "logloss", "auc-gap"}
    with pytest.raises(UsageError, match="unknown metric 'ac'; did you mean 'auc'"):
        read_stored_suite(store, "tiny@1", metrics=["ac"])


def test_numbers_do_not_depend_on_the_metrics_asked_for(store):
    boards = []
    for metrics in (None, ["logloss"]):
        suite = read_stored_suite(store, "tiny@1", metrics=metrics)
        rows = build_leaderboard(suite.scores, suite.expected, suite.settings()).rows
        boards.append(rows[rows["metric"] == "logloss"].reset_index(drop=True))
    pd.testing.assert_frame_equal(*boards)


def test_another_version_in_the_store_is_named_and_not_mixed_in(store):
    notes = read_stored_suite(store, "tiny@2").settings().notes
    assert "tiny@1: in this store, too; versions of a suite are never mixed" in notes


def test_runs_on_another_state_of_the_data_are_named_and_left_out(tmp_path):
    store = Store.open(tmp_path / "store")
    for seed in range(SEEDS):
        _publish(store, _cell("equal", seed))
        _publish(store, replace(_cell("equal", seed), fingerprint="1" * 16), offset=0.1)
    save_plan(store, _plan())
    suite = read_stored_suite(store, "tiny")
    assert set(suite.scores["fingerprint"]) == {"0" * 16}
    (note,) = [note for note in suite.settings().notes if "state of the data" in note]
    assert note.startswith("3 runs like these were made on another state of the data sessions (fingerprint 1111")


def test_a_plan_whose_runs_mix_states_of_the_data_is_ranked_by_nobody(tmp_path):
    store = Store.open(tmp_path / "store")
    cells = [replace(_cell("equal", seed), fingerprint=str(seed) * 16) for seed in range(SEEDS)]
    for cell in cells:
        _publish(store, cell)
    planned = tuple(PlannedCell(cell.run_id, "sessions", "logistic", "plain", cell.seed) for cell in cells)
    save_plan(store, replace(_plan(), cells=planned))
    suite = read_stored_suite(store, "tiny")
    with pytest.raises(UsageError, match="sessions"):
        build_leaderboard(suite.scores, suite.expected, suite.settings())


def test_a_reference_chosen_afterwards_is_called_exploratory(store):
    settings = read_stored_suite(store, "tiny@1").settings(against="*/mine")
    assert "against */mine in place of the declared */plain: exploratory" in settings.notes
    assert settings.reference.pairs(["logistic/plain", "logistic/mine"]) == [("logistic/plain", "logistic/mine")]
    with pytest.raises(UsageError, match="--against '\\*/min' matches no method; did you mean"):
        read_stored_suite(store, "tiny@1").settings(against="*/min")


def test_a_reference_without_its_backbone_gets_the_right_form(store):
    with pytest.raises(UsageError, match=r"--against 'mine' is not of the form backbone/weighting, such as '\*/mine'"):
        read_stored_suite(store, "tiny@1").settings(against="mine")


def test_a_protocol_with_a_warning_is_noted(store):
    suite = read_stored_suite(store, "tiny@1")
    warning = PROTOCOLS["rmtl-paper"].warning
    assert warning in suite.settings(protocol="rmtl-paper").notes
    assert not any(warning in note for note in suite.settings().notes)
    with pytest.raises(UsageError, match="unknown protocol 'paired'; did you mean 'paired-t'"):
        suite.settings(protocol="paired")


def test_its_leaderboard_judges_by_what_the_suite_declares(store):
    suite = read_stored_suite(store, "tiny@1")
    board = build_leaderboard(suite.scores, suite.expected, suite.settings())
    rows = board.rows[board.rows["metric"] == "auc"].set_index("method")
    assert rows.loc["logistic/mine", "reference"] == "logistic/plain"
    assert (rows.loc["logistic/mine", "n"], rows.loc["logistic/mine", "expected"]) == (2, 3)
    assert rows.loc["logistic/mine", "verdict"] == "n too small"
    assert set(board.comparisons["family"]) == {"further"}
    assert board.delta_m.empty
    text = render(leaderboard_document(board, suite.shown(())), "table")
    assert "logloss ±" not in text
    assert "note: 1 planned run" in text


def test_delta_m_is_left_out_until_its_reference_has_a_score(tmp_path):
    store = Store.open(tmp_path / "store")
    _publish(store, _cell("equal", 0))
    for version, reference in enumerate(["logistic/plain", "logistic/mine"], 1):
        save_plan(store, _plan(version, statistics={**STATISTICS, "delta_m": reference}))
    assert read_stored_suite(store, "tiny@1").settings().delta_m_reference == "logistic/plain"
    assert read_stored_suite(store, "tiny@2").settings().delta_m_reference is None


def test_warnings_of_its_runs_are_noted_once_each(tmp_path):
    store = Store.open(tmp_path / "store")
    for seed, texts in enumerate([["clipped", "slow"], ["clipped"], []]):
        _publish(store, _cell("equal", seed), warnings=texts)
    _publish(store, _cell("rmtl", 0), "failed", warnings=["of a run that failed"])
    _publish(store, _cell("stranger", 0), warnings=["of no concern"])
    save_plan(store, _plan())
    notes = read_stored_suite(store, "tiny").settings().notes
    assert [n for n in notes if "warning" in n] == ["warning from 2 runs: clipped", "warning from 1 run: slow"]


def test_a_family_is_a_control_where_the_plan_says_so_and_older_plans_say_nothing(tmp_path):
    store = Store.open(tmp_path / "store")
    for seed in range(SEEDS):
        for offset, weighting in enumerate(WEIGHTINGS.values()):
            _publish(store, _cell(weighting, seed), offset=offset * (0.02 + seed / 1000))
    (family,) = STATISTICS["comparisons"]
    save_plan(store, _plan(1))
    save_plan(store, _plan(2, statistics={**STATISTICS, "comparisons": [{**family, "control": True}]}))
    for name, controls in (("tiny@1", set()), ("tiny@2", {"logistic/plain"})):
        suite = read_stored_suite(store, name)
        board = build_leaderboard(suite.scores, suite.expected, suite.settings())
        assert set(board.rows["control"].dropna()) == controls


def test_a_run_that_diverged_is_missing_though_it_has_metrics(tmp_path):
    store = Store.open(tmp_path / "store")
    for seed in range(SEEDS):
        _publish(store, _cell("equal", seed))
        _publish(store, _cell("rmtl", seed), "diverged" if seed else "ok", offset=0.3, seconds_a_step=1.0)
    save_plan(store, _plan())
    suite = read_stored_suite(store, "tiny")
    assert sorted(suite.scores.loc[suite.scores["method"] == "logistic/mine", "seed"].unique()) == [0]
    board = build_leaderboard(suite.scores, suite.expected, suite.settings(), suite.costs)
    assert [(row.method, row.seed) for row in board.missing.itertuples()] == [
        ("logistic/mine", 1),
        ("logistic/mine", 2),
    ]
    assert board.costs.set_index("method")["n"].to_dict() == {"logistic/mine": 1, "logistic/plain": 0}
    assert "runs that ended as diverged: 2" in suite.settings().notes


def test_costs_are_named_as_the_plan_names_them_and_unknown_where_a_run_says_none(tmp_path):
    store = Store.open(tmp_path / "store")
    for seed, seconds in enumerate((0.3, 0.1, 0.2)):
        _publish(store, _cell("equal", seed), seconds_a_step=seconds, parameters=12_345)
    _publish(store, _cell("rmtl", 0), seconds_a_step=0.5, parameters=12_345)
    _publish(store, _cell("rmtl", 1))
    save_plan(store, _plan())
    suite = read_stored_suite(store, "tiny")
    assert list(suite.costs.columns) == ["dataset", "method", "seed", "seconds_a_step", "parameters"]
    found = suite.costs.set_index(["method", "seed"])["seconds_a_step"]
    assert found["logistic/plain"].to_dict() == {0: 0.3, 1: 0.1, 2: 0.2}
    assert found["logistic/mine"].fillna(-1).to_dict() == {0: 0.5, 1: -1}
    board = build_leaderboard(suite.scores, suite.expected, suite.settings(), suite.costs)
    mine = board.costs.set_index("method").loc["logistic/mine"]
    assert (mine["ratio"], mine["reference"], mine["parameters"]) == (pytest.approx(2.5), "logistic/plain", 12_345)


def test_the_costs_of_a_suite_of_older_runs_are_dashes(store):
    suite = read_stored_suite(store, "tiny@1")
    board = build_leaderboard(suite.scores, suite.expected, suite.settings(), suite.costs)
    section = render(leaderboard_document(board, suite.shown(())), "table").split("\ncost\n")[1].split("\n\n")[0]
    assert [line.split() for line in section.splitlines()[2:]] == [
        ["sessions", "logistic/mine", "0", "-", "-", "plain", "-"],
        ["sessions", "logistic/plain", "0", "-", "-", "-", "-"],
    ]
