"""How far suites have come, as data and as text."""

from __future__ import annotations

import time

import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report.status_text import log_lines, store_text, suite_text, summary_line, watch_text
from rmtl_bench.report.suite_status import STATES, read_status, status_json
from rmtl_bench.store import Store
from rmtl_bench.store.progress import Progress, ProgressFile

AT = 1_000_000.0
TRACE = "Traceback (most recent call last):\n  File 'x'\nValueError: no \x1b[31mreason\x1b[0m [red]<script>\n"


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store")


@pytest.fixture
def started(store, publish_cell):
    """Begin a run in this process and return its cell: its lock is held until the test ends."""

    def start(weighting, seed, *, since=10.0, stage="", epoch=0, score=None, suite="tiny@1"):
        cell = publish_cell(store, weighting, seed, publish=False)
        progress = Progress(cell.run_id, cell.label, suite, AT - 60, AT - since, stage, epoch, score)
        ProgressFile(store.staging_folder(cell.run_id), progress)
        return cell

    return start


@pytest.fixture
def mixed(store, publish_cell, plan_cells, started):
    """Of equal, 2 runs ended well and 1 is running; of mine 1 failed, 1 was killed, 1 is to come."""
    cells = [publish_cell(store, "equal", seed, seconds=20.0 + 10 * seed) for seed in range(2)]
    cells.append(started("equal", 2, stage="train", epoch=3, score=0.71239))
    cells.append(publish_cell(store, "mine", 0, "failed", TRACE))
    cells.append(publish_cell(store, "mine", 1, "interrupted", "killed by SIGKILL\nlog"))
    cells.append(publish_cell(store, "mine", 2, publish=False))
    plan_cells(store, cells, labels={"mine": "ours"}, skipped=({"label": "sessions/x/y", "reason": "no moon"},))
    return cells


def test_every_planned_run_is_counted_in_one_state(store, mixed):
    (suite,) = read_status(store, AT, "tiny").suites
    expected = {"ok": 2, "failed": 1, "interrupted": 1, "running": 1, "to come": 1}
    assert suite.counts == dict.fromkeys(STATES, 0) | expected
    assert sum(expected.values()) == len(mixed)
    assert {method: counts["ok"] for method, counts in suite.methods.items()} == {
        ("sessions", "ple/equal"): 2,
        ("sessions", "ple/ours"): 0,
    }
    assert [(end.label, end.status, end.reason) for end in suite.ended_badly] == [
        ("sessions/ple/ours/0", "failed", "ValueError: no \x1b[31mreason\x1b[0m [red]<script>"),
        ("sessions/ple/ours/1", "interrupted", "killed by SIGKILL"),
    ]


def test_the_time_left_is_that_of_like_runs(store, mixed):
    (suite,) = read_status(store, AT, "tiny").suites
    # Of equal 25 s are typical, of which 10 have gone; nothing is known of ours but what the data set's runs take.
    assert suite.left == pytest.approx((25 - 10) + 25)
    assert suite.seconds == pytest.approx(20 + 30)


def test_a_run_that_takes_longer_than_others_has_no_negative_time_left(store, publish_cell, plan_cells, started):
    cells = [publish_cell(store, "equal", 0, seconds=4.0), started("equal", 1, since=500.0)]
    plan_cells(store, cells)
    assert read_status(store, AT, "tiny").suites[0].left == 0.0


def test_without_a_run_that_ended_well_or_one_that_runs_nothing_is_known_of_the_time_left(
    store, publish_cell, plan_cells, started
):
    plan_cells(store, [started("equal", 0)])
    plan_cells(store, [publish_cell(store, "mine", 0), publish_cell(store, "mine", 1, publish=False)], suite="other")
    assert [suite.left for suite in read_status(store, AT).suites] == [None, None]


def test_a_run_that_is_made_again_counts_as_running(store, publish_cell, plan_cells, started):
    publish_cell(store, "mine", 0, "failed", TRACE)
    plan_cells(store, [started("mine", 0)])
    (suite,) = read_status(store, AT, "tiny").suites
    assert (suite.counts["running"], suite.counts["failed"], suite.ended_badly) == (1, 0, ())


def test_what_a_dead_process_left_is_to_come(store, publish_cell, plan_cells):
    cell = publish_cell(store, "mine", 0, publish=False)
    (store.staging / f"{cell.run_id}-0123456789ab").mkdir()
    (store.staging / f"{cell.run_id}-0123456789ab.lock").touch()
    plan_cells(store, [cell])
    status = read_status(store, AT, "tiny")
    assert status.suites[0].counts["to come"] == 1
    assert not status.running


def test_a_run_that_the_suite_builds_on_is_shown_and_not_counted(store, publish_cell, plan_cells, started):
    source = started("source", 0)
    stranger = started("strange", 0, suite="other@1")
    plan_cells(store, [publish_cell(store, "equal", 0)])
    (suite,) = read_status(store, AT, "tiny").suites
    assert [progress.run_id for progress in suite.running] == [source.run_id]
    assert suite.counts["running"] == 0
    whole = read_status(store, AT)
    assert [progress.run_id for progress in whole.others] == [stranger.run_id]


def test_one_run_of_two_suites_is_running_in_both(store, plan_cells, started):
    cells = [started("equal", 0)]
    plan_cells(store, cells)
    plan_cells(store, cells, suite="other")
    status = read_status(store, AT)
    assert [suite.counts["running"] for suite in status.suites] == [1, 1]
    assert store_text(status, 80).count("sessions/ple/equal/0") == 1


def test_a_suite_that_was_not_run_is_refused(store, mixed):
    with pytest.raises(UsageError, match=r"suite 'tinny' has not been run in .*did you mean 'tiny@1'"):
        read_status(store, AT, "tinny")


def test_the_text_of_a_suite_says_all_in_eighty_columns(store, mixed):
    status = read_status(store, AT, "tiny")
    text = suite_text(status.suites[0], store.path, AT, 80)
    lines = text.splitlines()
    assert lines[:2] == ["tiny@1: A suite", "skipped sessions/x/y: no moon"]
    assert "method     planned  ok  failed  interrupted  running  to come" in lines
    assert "ple/equal        3   2       -            -        1        -" in lines
    assert "ple/ours         3   -       1            1        -        1" in lines
    assert "  sessions/ple/ours/0  failed  ValueError: no reason [red]<script>" in text.replace("\n    ", "  ")
    assert "  sessions/ple/equal/2  train, epoch 3, score 0.7124, 10 s" in lines
    summary = "6 planned: 2 ok, 1 failed, 1 interrupted, 1 running, 1 to come; 1 min 00 s so far, about 40 s left"
    assert summary in " ".join(text.split())
    assert "\x1b" not in text
    assert max(map(len, lines)) <= 80


def test_a_suite_at_rest_says_what_to_type_next(store, publish_cell, plan_cells):
    bad = publish_cell(store, "mine", 0, "diverged", TRACE)
    plan_cells(store, [bad, publish_cell(store, "mine", 1, publish=False)], sample=True)
    (suite,) = read_status(store, AT, "tiny", sample=True).suites
    lines = suite_text(suite, store.path, AT, 80).splitlines()
    again = f"rmtl-bench run --suite tiny@1 --sample --retry diverged --store {store.path}"
    assert lines[-3:] == [
        f"the traceback:   rmtl-bench show {bad.run_id} --store {store.path}",
        f"run them again:  {again}",
        f"nothing is running; go on with:  {again.replace(' --retry diverged', '')}",
    ]


def test_a_finished_suite_says_what_it_took(store, publish_cell, plan_cells):
    plan_cells(store, [publish_cell(store, "equal", seed) for seed in range(3)])
    (suite,) = read_status(store, AT, "tiny").suites
    assert summary_line(suite, AT) == "3 planned: 3 ok; they took 12 s in all"


def test_the_text_of_a_store_has_a_line_a_suite_and_what_runs(store, mixed):
    lines = store_text(read_status(store, AT), 80).splitlines()
    assert "suite   planned  ok  failed  interrupted  running  to come" in lines
    assert "tiny@1        6   2       1            1        1        1" in lines
    assert lines[-1] == "about 40 s left"


def test_an_empty_store_says_so(store):
    assert store_text(read_status(store, AT), 80) == f"{store.path}: no suite has been run in this store yet"


def test_a_run_of_which_nothing_is_known_is_called_by_its_id(store):
    store.staging_folder("0123456789abcdef")
    now = time.time()
    text = store_text(read_status(store, now), 80)
    assert "0123456789abcdef  starting, " in text


def test_what_is_watched_begins_with_what_may_change_and_leaves_out_what_is_done(store, mixed):
    text = watch_text(read_status(store, AT, "tiny"), 120)
    lines = text.splitlines()
    assert lines[1].startswith("6 planned: ")
    assert lines.index("in progress: 1") < lines.index("ended badly: 2") < lines.index("sessions")


def test_a_line_of_the_log_has_counts_alone(store, mixed):
    assert log_lines(read_status(store, AT)) == ["tiny@1: 2 ok, 1 failed, 1 interrupted, 1 running, 1 to come"]


def test_the_json_has_the_same(store, mixed):
    data = status_json(read_status(store, AT, "tiny"))
    (suite,) = data["suites"]
    assert {key: suite[key] for key in ("planned", "ok", "to_come", "seconds_left")} == {
        "planned": 6,
        "ok": 2,
        "to_come": 1,
        "seconds_left": 40.0,
    }
    assert suite["methods"][1] == {
        "dataset": "sessions",
        "method": "ple/ours",
        "planned": 3,
        "ok": 0,
        "failed": 1,
        "timeout": 0,
        "oom": 0,
        "diverged": 0,
        "interrupted": 1,
        "skipped": 0,
        "running": 0,
        "to_come": 1,
    }
    assert suite["runs_in_progress"] == [
        {
            "run_id": mixed[2].run_id,
            "label": "sessions/ple/equal/2",
            "stage": "train",
            "epoch": 3,
            "score": 0.71239,
            "seconds": 10.0,
        }
    ]
