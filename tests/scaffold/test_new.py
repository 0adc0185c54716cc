from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rmtl_bench.plugins import load_plugins
from rmtl_bench.plugins.registry import KINDS
from rmtl_bench.scaffold import write_distribution


@pytest.fixture(scope="module")
def written(tmp_path_factory, installed_looking):
    """A distribution of every kind, by kind, and what finds them all."""
    parent = tmp_path_factory.mktemp("written")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RMTL_BENCH_LOAD_PLUGINS", "")
        registry = load_plugins().registry
    folders = {k: installed_looking(write_distribution(k, f"own-{k}", parent, registry).folder) for k in KINDS}
    return folders, {"PYTHONPATH": os.pathsep.join(map(str, folders.values()))}


SUITE = """
name = "own"
seeds = 1
metrics = ["auc", "own-metric"]
[trainer]
max_epochs = 1
[datasets.own-dataset]
[backbones.own-backbone]
[weightings.own-weighting]
[[grid]]
backbones = ["own-backbone"]
weightings = ["own-weighting"]
[statistics]
reference = "*/own-weighting"
"""


def test_the_command_writes_a_folder_and_says_what_to_type_next(rmtl_bench, tmp_path):
    made = rmtl_bench("new", "executor", "my-own", "--folder", tmp_path)
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "my-own"
    suite = folder / "my-own.toml"
    run = ["rmtl-bench run --suite my-own.toml --executor my-own", "rmtl-bench leaderboard --suite my-own.toml"]
    commands = [f"cd {folder}", "pip install -e '.[test]'", "rmtl-bench check my-own", "pytest"]
    assert [line.strip() for line in made.stdout.splitlines()] == commands + run * suite.exists()
    assert "  my_own/executor.py\n" in made.stderr
    again = rmtl_bench("new", "executor", "my-own", "--folder", tmp_path)
    assert again.returncode == 2
    assert again.stderr == f"error: {folder} is there already, and not empty\n"


def test_all_that_was_written_keeps_to_its_contract(written, clean_environment):
    folders, found = written
    # Most checks of an executor start runs of their own; two of them are enough to see that it works.
    chosen = "not OwnExecutor or runs-are-made or a-killed-run-is-interrupted"
    tests = [str(folder / "tests") for folder in folders.values()]
    parent = folders["metric"].parent
    options = ["-q", "--import-mode=importlib", "-W", "error", "-p", "no:cacheprovider", "-k", chosen]
    command = [sys.executable, "-P", "-m", "pytest", *options, "--rootdir", str(parent), "-c", os.devnull, *tests]
    done = subprocess.run(
        command, env=clean_environment | found, cwd=parent, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_all_that_was_written_runs_together(written, rmtl_bench, tmp_path):
    _, found = written
    suite, store = tmp_path / "own.toml", tmp_path / "store"
    suite.write_text(SUITE)
    run = rmtl_bench("run", "--suite", suite, "--store", store, "--executor", "own-executor", env=found)
    assert run.returncode == 0, run.stderr
    assert "1 ok" in run.stderr
    board = rmtl_bench("leaderboard", "--suite", "own", "--store", store, "--format", "csv", env=found)
    assert board.returncode == 0, board.stderr
    assert "own-backbone/own-weighting" in board.stdout
    assert ",own-metric," in board.stdout
