"""One run, found and shown."""

from __future__ import annotations

import json
import math
import re

import pytest

from rmtl_bench.contracts.errors import StoreError, UsageError
from rmtl_bench.report.run_text import run_text
from rmtl_bench.report.run_view import find_run, read_run_view, run_json
from rmtl_bench.store import Store
from rmtl_bench.store.progress import Progress, ProgressFile

TRACE = "Traceback (most recent call last):\n  File 'x'\nValueError: no \x1b[31mreason\x1b[0m [red]<script>\n"
FACTS = {
    "parameters": 107234,
    "rows": {"test": 20, "train": 60, "valid": 20},
    "stages": [
        {
            "name": "pre-train",
            "epochs": 2,
            "best_epoch": 2,
            "best_score": 0.6,
            "ended_by": "max-epochs",
            "seconds": 1.25,
            "steps": 10,
            "step_seconds": 0.0125,
        },
        {"name": "critics", "epochs": 1, "best_epoch": 0, "best_score": None, "ended_by": "diverged"},
    ],
    "warnings": ["a weight [red]was[/red] clipped"],
}
ENVIRONMENT = {
    "python": "3.11.7",
    "device": "cpu",
    "threads": 1,
    "cores": 2,
    "processor": "A processor",
    "git": "abc+",
    "distributions": {"d": "1", "numpy": "2.4", "rmtl-bench": "0.1.0", "other": "9"},
}


def _history():
    rows = []
    for stage, values in (("pre-train", (0.5, 0.6)), ("fine-tune", (0.7, 0.8))):
        for epoch, value in enumerate(values, 1):
            rows += [(stage, epoch, task, "auc", value) for task in ("click", "pay")]
            rows += [(stage, epoch, "", "score", value), (stage, epoch, "", "seconds", 1.0)]
    return [*rows, ("critics", 1, "click", "td-error", 3.0), ("critics", 1, "", "score", -3.0)]


def _weights():
    stages = [("pre-train", 1, 1.0), ("pre-train", 2, 1.0), ("fine-tune", 1, 1.5), ("fine-tune", 2, 2.0)]
    return [(stage, epoch, "click", mean, *[mean] * 5) for stage, epoch, mean in stages]


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store")


@pytest.fixture
def rich(store, publish_cell, plan_cells):
    """A run that says everything, of the suite tiny, which calls its weighting ours."""
    diagnostics = [("click", "correlation", 0.25, -1), *(("click", "weight", 1.0 + i, i) for i in range(3))]
    tables = {"history": _history(), "weights": _weights(), "diagnostics": diagnostics}
    cell = publish_cell(store, "mine", 3, facts=FACTS, environment=ENVIRONMENT, **tables)
    plan_cells(store, [cell], labels={"mine": "ours"})
    return cell


def _shown(store, run, width=120, blocks=True):
    return run_text(read_run_view(store, run), width, blocks)


@pytest.mark.parametrize("digits", [4, 9, 16])
def test_a_run_is_found_by_the_beginning_of_its_id(store, rich, digits):
    assert find_run(store, rich.run_id[:digits]) == rich.run_id
    assert find_run(store, rich.run_id[:digits].upper()) == rich.run_id


@pytest.mark.parametrize("label", ["sessions/ple/mine/3", "sessions/ple/ours/3"])
def test_a_run_is_found_by_what_it_or_its_suite_calls_it(store, rich, label):
    assert find_run(store, label) == rich.run_id


@pytest.mark.parametrize("text", ["abc", "xyzw", "", "0" * 17, "sessions"])
def test_what_can_be_no_run_is_refused(store, rich, text):
    with pytest.raises(UsageError, match=f"^{re.escape(repr(text))} is no run: give its id"):
        find_run(store, text)


def test_an_unknown_run_is_named_with_the_nearest(store, rich):
    with pytest.raises(UsageError, match=r"no run 'sessions/ple/our/3' in .*; did you mean 'sessions/ple/ours/3'"):
        find_run(store, "sessions/ple/our/3")
    with pytest.raises(UsageError, match=r"no run 'a/b/c/d' in .*; a run is called like 'sessions/ple/mine/3'$"):
        find_run(store, "a/b/c/d")
    near = rich.run_id[:-1] + ("0" if rich.run_id[-1] != "0" else "1")
    with pytest.raises(UsageError, match=f"did you mean '{rich.run_id}'"):
        find_run(store, near)


def test_an_empty_store_has_no_run_to_be_called_like(store):
    with pytest.raises(UsageError, match=r"no run '0000' in \S+$"):
        find_run(store, "0000")


def test_an_ambiguous_run_is_named_with_its_candidates(store, publish_cell, plan_cells):
    one, two = publish_cell(store, "mine"), publish_cell(store, "mine", backbone="mmoe")
    plan_cells(store, [one])
    plan_cells(store, [two], suite="other")
    # Two suites may call two runs by one name.
    twin = publish_cell(store, "twin")
    plan_cells(store, [twin], labels={"twin": "mine"}, suite="third")
    with pytest.raises(UsageError) as caught:
        find_run(store, "sessions/ple/mine/0")
    message = str(caught.value)
    assert message.startswith("'sessions/ple/mine/0' means 2 runs: ")
    assert f"{one.run_id} (tiny@1 sessions/ple/mine/0)" in message
    assert f"{twin.run_id} (third@1 sessions/ple/twin/0)" in message


def test_a_beginning_of_two_ids_is_ambiguous(store, publish_cell):
    ids = sorted(publish_cell(store, "mine", seed).run_id for seed in range(2))
    for name in ids:
        (store.runs_path / name).rename(store.runs_path / ("aaaa" + name[4:]))
    with pytest.raises(UsageError, match="'aaaa' means 2 runs: aaaa"):
        find_run(store, "aaaa")


def test_a_planned_run_that_is_not_there_is_said_to_be_planned_or_running(store, publish_cell, plan_cells):
    cells = [publish_cell(store, "mine", seed, publish=False) for seed in range(2)]
    plan_cells(store, cells)
    ProgressFile(store.staging_folder(cells[1].run_id), Progress(cells[1].run_id))
    for name in ("sessions/ple/mine/0", cells[0].run_id):
        with pytest.raises(UsageError, match="is planned and has not been run yet"):
            find_run(store, name)
    with pytest.raises(UsageError, match="is running"):
        find_run(store, "sessions/ple/mine/1")


def test_the_text_says_how_and_on_what_the_run_was_made(store, rich):
    lines = _shown(store, rich.run_id).splitlines()
    for line in (
        "sessions/ple/mine/3",
        f"  run         {rich.run_id}, attempt 1",
        "  ended       ok, 2026-01-01 00:00:04 UTC",
        "  took        train 4.00 s",
        "  suite       tiny@1",
        "  data set    sessions (d 1, version 1): width 4; fingerprint 0000000000000000",
        "  rows        train 60, valid 20, test 20",
        "  backbone    ple (d 1, version 1): width 4; 107,234 parameters",
        "  trainer     max_epochs 2",
        "  seed        3",
        "  pre-train       2     2  0.60000     10      12.50  1.25  max-epochs",
        "  critics         1     0        -      -          -     -    diverged",
        "  a weight [red]was[/red] clipped",
        "  device      device cpu, threads 1",
        "  machine     A processor, 2 cores",
        "  versions    python 3.11.7, rmtl-bench 0.1.0, numpy 2.4, d 1 and 1 more (--json lists them)",
        "  git         abc+",
        "  rmtl-bench run --suite tiny@1 --only sessions/ple/ours --store NEW_FOLDER",
    ):
        assert line in lines


def test_curves_of_stages_that_report_the_same_stand_in_one_line(store, rich):
    text = _shown(store, rich.run_id)
    assert "by epoch: pre-train (2) │ fine-tune (2)\n  auc    click  ▁▃│▆█  0.5000 -> 0.8000\n" in text
    assert "by epoch: critics (1)\n  td-error  click  ▄  3.0000 -> 3.0000\n" in text
    assert "mean weight by epoch: pre-train (2) │ fine-tune (2)\n  click  ▁▁│▅█  1.0000 -> 2.0000\n" in text
    assert "seconds  -" not in text


def test_diagnostics_by_position_are_a_curve(store, rich):
    text = _shown(store, rich.run_id)
    assert "  correlation  0.2500\n" in text
    assert "by position in the session\n  weight  click  ▁▅█  1.0000 -> 3.0000\n" in text, text


def test_without_blocks_the_text_is_ascii(store, rich):
    text = _shown(store, rich.run_id, blocks=False)
    assert text.isascii()
    assert "auc    click  _-|+#  0.5000 -> 0.8000" in text


def test_lines_are_filled_to_the_width(store, rich):
    lines = _shown(store, rich.run_id, width=60).splitlines()
    # Paths and commands are copied, tables stay tables.
    filled = [line for line in lines if str(store.path) not in line and not line.startswith("  rmtl-bench run")]
    assert max(map(len, filled)) <= 70


def test_a_failed_run_shows_its_traceback_as_text(store, publish_cell, plan_cells):
    cell = publish_cell(store, "mine", 0, "failed", TRACE, metrics=[("click", "auc", 0.5, True)])
    plan_cells(store, [cell], sample=True)
    text = _shown(store, cell.run_id)
    assert text.endswith(
        "why it ended badly\n  Traceback (most recent call last):\n    File 'x'\n  ValueError: no reason [red]<script>"
    )
    again = "rmtl-bench run --suite tiny@1 --sample --only sessions/ple/mine --retry failed"
    assert f"  {again} --store {store.path}" in text.splitlines()
    assert "metrics on the test split; the run ended badly, they enter no score" in text


def test_hostile_names_are_text(store, publish_cell, plan_cells):
    name = "<script>[red]\x1b[31mx\x1b[0m'*"
    cell = publish_cell(store, name, 0, history=[("s\x1b[2J", 1, "t\x07", "auc", 0.5)])
    plan_cells(store, [cell])
    text = _shown(store, cell.run_id)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "<script>[red]x'*" in text
    assert "by epoch: s (1)\n  auc  t  ▄  0.5000 -> 0.5000" in text


def test_attempts_are_listed_with_the_last_shown_and_a_broken_one_is_no_obstacle(store, publish_cell):
    cell = publish_cell(store, "mine", 0, "interrupted", "killed by SIGKILL")
    publish_cell(store, "mine", 0, "failed", TRACE)
    publish_cell(store, "mine", 0)
    (store.runs_path / f"{cell.run_id}.2" / "run.json").write_text("{")
    view = read_run_view(store, cell.run_id)
    assert [(one.attempt, one.status) for one in view.attempts] == [(1, "interrupted"), (2, "unreadable"), (3, "ok")]
    assert "  1  interrupted  2026-01-01 00:00:04 UTC: killed by SIGKILL\n" in run_text(view, 120)
    assert view.folder.attempt == 3


def test_a_run_of_no_suite_has_no_command(store, publish_cell):
    cell = publish_cell(store, "mine")
    view = read_run_view(store, cell.run_id)
    assert view.commands == []
    assert "no suite of this store has it" in run_text(view, 120)


@pytest.mark.parametrize("name", ["run.json", "metrics.parquet", "history.parquet", "environment.json"])
def test_a_broken_folder_is_an_error_that_names_the_file(store, rich, name):
    (store.runs_path / rich.run_id / name).write_bytes(b"broken")
    with pytest.raises(StoreError, match=re.escape(name)):
        read_run_view(store, "sessions/ple/ours/3")


def test_a_run_that_ended_well_without_metrics_is_broken(store, rich):
    (store.runs_path / rich.run_id / "metrics.parquet").unlink()
    with pytest.raises(StoreError, match=r"says it ended well, but has no metrics\.parquet"):
        read_run_view(store, rich.run_id)


def test_the_json_has_everything_and_null_for_what_is_not_finite(store, publish_cell, plan_cells):
    cell = publish_cell(store, "mine", 0, metrics=[("click", "auc", math.nan, True)], history=_history())
    plan_cells(store, [cell])
    data = json.loads(json.dumps(run_json(read_run_view(store, cell.run_id)), allow_nan=False))
    assert data["metrics"] == [{"task": "click", "metric": "auc", "value": None, "higher_is_better": True}]
    assert data["cell"]["weighting"]["name"] == "mine"
    assert (data["label"], data["suites"]) == (
        "sessions/ple/mine/0",
        [{"suite": "tiny@1", "label": "sessions/ple/mine/0"}],
    )
    assert len(data["history"]) == len(_history())
    assert data["attempts"] == [
        {"attempt": 1, "status": "ok", "finished": "2026-01-01T00:00:04.000+00:00", "reason": ""}
    ]
