"""Limits, failures, executors and several commands at once, as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rmtl_bench.cli.run import PROCESS, command
from rmtl_bench.contracts.run_request import CHECKPOINT_SECONDS
from rmtl_bench.execution.catalogue import DEFAULT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def toy(toy_plugin, toy_suite):
    return ("--suite", toy_suite, "--plugin", toy_plugin)


@pytest.fixture(scope="module")
def finished(rmtl_bench, toy, tmp_path_factory):
    store = tmp_path_factory.mktemp("finished") / "store"
    assert rmtl_bench("run", *toy, "--store", store).returncode == 0
    return store


def scores(rmtl_bench, store):
    query = "SELECT run_id, task, metric, value FROM v_scores ORDER BY ALL"
    shown = rmtl_bench("db", "sql", query, "--json", "--store", store)
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


@pytest.fixture
def misbehaving(toy_suite, tmp_path):
    """Make a suite of three runs whose weighting does as it is told, for as long as it is let."""

    def make(behaviour):
        text = toy_suite.read_text().replace("[weightings.toy-mgda]", "").replace('"toy-mgda"', "")
        text = text.replace("*/toy-mgda", "*/toy-equal").replace("max_epochs = 2", "max_epochs = 1000")
        text = text.replace("patience = 1", "patience = 1000")
        told = f'[weightings.toy-equal]\nparameters = {{ behaviour = "{behaviour}" }}'
        (tmp_path / "toy.toml").write_text(text.replace("[weightings.toy-equal]", told))
        return tmp_path / "toy.toml"

    return make


def test_what_the_command_says_of_executor_and_checkpoints_is_what_they_are():
    defaults = {option.name: option.default for option in command.params}
    assert PROCESS == DEFAULT == defaults["executor"]
    assert defaults["checkpoint_every"] == CHECKPOINT_SECONDS


def test_runs_over_a_limit_are_rows_that_say_which(rmtl_bench, toy_plugin, misbehaving, tmp_path):
    options = ("--plugin", toy_plugin, "--store", tmp_path / "store")
    slow = rmtl_bench("run", "--suite", misbehaving("sleep"), *options, "--timeout", "1s", "--max-failures", "2")
    assert slow.returncode == 1
    assert "timeout     toy-sessions/toy-logistic/toy-equal/0" in slow.stderr
    assert "stopped: it took longer than the limit of 1 s" in slow.stderr
    assert "stopped: 2 runs have ended badly; 1 not made" in slow.stderr
    assert "2 timeout in" in slow.stderr


def test_the_first_failure_stops_all_where_that_is_asked_for(rmtl_bench, toy_plugin, misbehaving, tmp_path):
    options = ("--plugin", toy_plugin, "--store", tmp_path / "store", "--jobs", "1")
    run = rmtl_bench("run", "--suite", misbehaving("raise"), *options, "--fail-fast")
    assert run.returncode == 1
    assert "stopped: 1 run has ended badly; 2 not made" in run.stderr
    assert len(list((tmp_path / "store" / "runs").iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--timeout", "soon"), "'soon' is not a time such as 90s, 30m or 2h"),
        (("--timeout", "0"), "'0' is not a time"),
        (("--memory-limit", "4"), "'4' is not an amount of memory such as 512MB or 4GB"),
        (("--executor", "rya"), "unknown executor 'rya'; did you mean 'ray'?"),
        (
            ("--executor", "process", "--address", "host:1"),
            "executor 'process' has no address, given as --address host:1",
        ),
        (("--executor-option", "gpus"), "--executor-option 'gpus' is not of the form NAME=VALUE"),
        (("--executor-option", "gpus=1"), "executor 'process' has no parameter 'gpus'"),
        (("--executor", "ray", "--executor-option", "gpus=half"), "parameter 'gpus' is 'half'; it takes a number"),
        (("--executor", "inline", "--timeout", "1h"), "executor 'inline' cannot keep --timeout"),
        (("--executor", "inline", "--jobs", "2"), "executor 'inline' makes one run at a time"),
        (("--fail-fast", "--max-failures", "3"), "--fail-fast means --max-failures 1; --max-failures 3 was given, too"),
        (("--retry", "killed"), "--retry 'killed' is no status to retry"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(rmtl_bench, toy, tmp_path, arguments, said):
    run = rmtl_bench("run", *toy, "--store", tmp_path / "store", *arguments)
    assert run.returncode == 2
    assert said in run.stderr
    assert run.stderr.count("error:") == 1
    assert "Traceback" not in run.stderr


def test_inline_gives_the_same_scores(rmtl_bench, toy, finished, tmp_path):
    run = rmtl_bench("run", *toy, "--store", tmp_path / "store", "--executor", "inline", "--threads", "1")
    assert run.returncode == 0, run.stderr
    assert "6 runs on cpu, 1 at once" in run.stderr
    assert scores(rmtl_bench, tmp_path / "store") == scores(rmtl_bench, finished)


def test_two_commands_at_once_make_each_run_once_and_a_reader_never_fails(
    rmtl_bench, clean_environment, toy, finished, tmp_path
):
    store = tmp_path / "store"
    command = [sys.executable, "-P", "-m", "rmtl_bench.cli.main", "run", *map(str, toy), "--store", str(store)]
    both = [subprocess.Popen(command, env=clean_environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    while not (store / "suites" / "toy@1.json").exists():
        assert all(process.poll() is None for process in both)
    while any(process.poll() is None for process in both):
        read = rmtl_bench("leaderboard", "--suite", "toy", "--store", store, "--format", "json")
        assert read.returncode == 0, read.stderr
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    folders = [path.name for path in (store / "runs").iterdir()]
    assert len(folders) == 6
    assert not any("." in name for name in folders)
    made = [line for text in said for line in text.splitlines() if "] ok " in line and "another command" not in line]
    assert len(made) == 6
    assert scores(rmtl_bench, store) == scores(rmtl_bench, finished)
    assert not list((store / "staging").iterdir())
    assert not list((store / "claims").iterdir())
