"""What RMTL needs of data and parameters, met by the command line: one clear line each."""

from __future__ import annotations

import pytest

PLUGIN = """
from dataclasses import replace

from rmtl_bench import DatasetInfo, Parameter, hookimpl


@hookimpl
def rmtl_datasets():
    column = {"column": Parameter("", "the column to break")}
    rows = DatasetInfo(name="rows", target="rmtl_bench_datasets.simulated:Simulated", summary="no sessions")
    broken = DatasetInfo(
        name="broken", target="needy:Broken", summary="it lacks one column", parameters=column, provides={"sessions"}
    )
    return [rows, broken]


def __getattr__(name):
    if name != "Broken":
        raise AttributeError(name)
    from rmtl_bench.contracts import Dataset
    from rmtl_bench_datasets.simulated import Simulated

    class Broken(Dataset):
        def __init__(self, column):
            self.column = column

        def build(self, data_dir, scratch):
            table = Simulated(rows=1000).build(data_dir, scratch)
            if self.column == "labels":
                table.labels[5, 0] = float("nan")
                return table
            return replace(table, **{self.column: None})

    return Broken
"""

SUITE = """
name = "input"
seeds = 1
metrics = ["auc"]
[trainer]
batch_size = 256
max_epochs = 1
[datasets.{dataset}]
parameters = {{ {data} }}
[backbones.shared-bottom]
parameters = {{ embedding_dim = 4, bottom = [8], tower = [4] }}
[weightings.rmtl]
parameters = {{ embedding_dim = 4, bottom = [8], tower = [4], critic_epochs = 1, fine_tune_epochs = 1{rmtl} }}
[[grid]]
backbones = ["shared-bottom"]
weightings = ["rmtl"]
"""


@pytest.fixture
def run(rmtl_bench, tmp_path):
    """Run RMTL on a data set with parameters; return the exit code and the lines of standard error."""

    def run(dataset, data="", rmtl=""):
        plugin, suite = tmp_path / "needy.py", tmp_path / "input.toml"
        plugin.write_text(PLUGIN)
        suite.write_text(SUITE.format(dataset=dataset, data=data, rmtl=rmtl))
        arguments = ("run", "--suite", suite, "--store", tmp_path / "store", "--plugin", plugin)
        done = rmtl_bench(*arguments, env={"PYTHONPATH": str(tmp_path)})
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr.splitlines()

    return run


def errors(lines):
    return [line for line in lines if line.startswith("error")]


def test_data_without_sessions_are_skipped_and_the_plan_says_why(run):
    code, lines = run("rows")
    assert code == 0
    expected = "  skipped rows/shared-bottom/rmtl: weighting 'rmtl' requires 'sessions', which nothing here provides"
    assert expected in lines


def test_a_missing_session_column_is_named(run):
    code, lines = run("broken", 'column = "session"')
    assert code == 4
    assert errors(lines) == ["error: broken: session is a NoneType; it must be an array"]


def test_a_label_that_is_no_number_is_named_with_its_row(run):
    code, lines = run("broken", 'column = "labels"')
    assert code == 4
    assert errors(lines) == ["error: broken: label of task 'click' is nan in row 5; it must be 0 or 1"]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (", lambda_q = -0.1", "error: weighting 'rmtl': parameter 'lambda_q' is -0.1; it takes a number of at least 0"),
        (", discount = 1.5", "error: weighting 'rmtl': parameter 'discount' is 1.5; it takes a number from 0 to 1"),
        (
            ', critic_from = "pel"',
            "error: weighting 'rmtl': parameter 'critic_from' is 'pel'; it takes a backbone of the suite; known: "
            "shared-bottom",
        ),
    ],
)
def test_an_impossible_parameter_is_refused_before_anything_runs(run, given, line):
    code, lines = run("simulated", "rows = 1000", given)
    assert code == 2
    assert errors(lines) == [line]


@pytest.mark.slow
def test_sessions_of_one_row_are_trained_on_under_a_warning(run):
    code, lines = run("simulated", "rows = 1000, session_length = 1")
    assert code == 0
    warnings = [line for line in lines if line.startswith("warning: every session of the training split has one row")]
    assert len(warnings) == 1
