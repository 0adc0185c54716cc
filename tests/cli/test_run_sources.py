"""A suite whose runs build on others, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def heirs(rmtl_bench, toy_plugin):
    """Run the heirs' suite, its weightings told what to do, in a store of the given name."""

    def run(folder: Path, *arguments, alone="learn"):
        suite = folder / "heirs.toml"
        text = toy_plugin.with_name("heirs.toml").read_text("utf-8")
        suite.write_text(text.replace('alone = "learn"', f'alone = "{alone}"'))
        return rmtl_bench("run", "--suite", suite, "--plugin", toy_plugin, "--store", folder / "store", *arguments)

    return run


@pytest.fixture(scope="module")
def finished(heirs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("heirs")
    return folder, heirs(folder, alone="warn")


def _runs(folder):
    return sorted(path.name for path in (folder / "store" / "runs").iterdir())


def test_a_run_under_two_labels_is_made_once_and_shown_under_both(rmtl_bench, finished):
    folder, run = finished
    assert run.returncode == 0, run.stderr
    assert "suite heirs@1: 8 cells, 6 to run" in run.stderr
    assert len(_runs(folder)) == 6
    shown = rmtl_bench("leaderboard", "--suite", "heirs", "--store", folder / "store", "--format", "json")
    assert shown.returncode == 0, shown.stderr
    board = json.loads(shown.stdout)
    assert board["missing"] == []
    values = {(r["method"], r["task"], r["metric"]): (r["n"], r["mean"]) for r in board["leaderboard"]}
    assert {method for method, *_ in values} == {
        f"{b}/{w}" for b in ("toy-logistic", "wide") for w in ("heir", "plain")
    }
    for (method, *of), value in values.items():
        assert value[0] == 2
        if method == "wide/heir":
            assert value == values["wide/plain", *of]


def test_what_runs_warn_of_is_said_once(finished):
    lines = [line for line in finished[1].stderr.splitlines() if line.startswith("warning")]
    (line,) = lines
    assert line.startswith("warning: the toy was told to warn (toy-sessions/")
    assert line.endswith(", and 3 more runs)")


def test_run_again_there_is_nothing_to_run(heirs, finished):
    folder, _ = finished
    before = _runs(folder)
    assert "8 cells, 0 to run" in heirs(folder, alone="warn").stderr
    assert _runs(folder) == before


def test_what_is_selected_brings_its_sources_along(heirs, tmp_path):
    only = ("--only", "*/toy-logistic/heir")
    plan = heirs(tmp_path, *only, "--dry-run")
    added = "  2 more to run first, since others build on them: toy-sessions/wide/heir\n"
    assert "2 cells, 2 to run\n" in plan.stderr
    assert added in plan.stderr
    ids = dict(reversed(line.split()) for line in plan.stdout.splitlines())
    assert list(ids) == [f"toy-sessions/{b}/heir/{seed}" for seed in (0, 1) for b in ("wide", "toy-logistic")]
    run = heirs(tmp_path, *only)
    assert run.returncode == 0, run.stderr
    assert added in run.stderr
    kept = {path.parent.name for path in (tmp_path / "store" / "runs").glob("*/kept.safetensors")}
    assert kept == {run_id for label, run_id in ids.items() if "wide" in label}
    # Without its file, a source that ended well is made again, but only for an heir that is to be run.
    source, heir = (ids[f"toy-sessions/{b}/heir/0"] for b in ("wide", "toy-logistic"))
    (tmp_path / "store" / "runs" / source / "kept.safetensors").unlink()
    assert "2 cells, 0 to run" in heirs(tmp_path, *only).stderr
    (tmp_path / "store" / "runs" / heir / "run.json").unlink()
    again = heirs(tmp_path, *only)
    assert "2 cells, 1 to run" in again.stderr
    assert "  1 more to run first" in again.stderr
    assert (tmp_path / "store" / "runs" / f"{source}.2" / "kept.safetensors").exists()


def test_sources_that_fail_are_named_by_the_runs_that_need_them_and_all_are_retried(heirs, tmp_path):
    run = heirs(tmp_path, "--only", "*/heir", alone="raise")
    assert run.returncode == 1
    assert "2 failed, 2 skipped in" in run.stderr
    assert run.stderr.count("    RuntimeError: the toy was told to raise\n") == 2
    assert run.stderr.count("    not started: the run it builds on, toy-sessions/wide/heir/") == 2
    again = heirs(tmp_path, "--only", "*/toy-logistic/heir", "--retry", "failed", "--dry-run", alone="raise")
    assert len(again.stdout.splitlines()) == 4
