"""What a user is told while runs go on."""

from __future__ import annotations

import pytest

from rmtl_bench.cli.progress import PlainProgress
from rmtl_bench.contracts.cell import Cell, Component, Outcome


def _cell(seed):
    part = Component("x", "x", 1, "d", "1")
    return Cell(part, "f", part, part, {}, ("auc",), seed)


@pytest.fixture
def said(capsys):
    """What is said of runs that end in the given ways, line by line."""

    def said(*outcomes):
        progress = PlainProgress()
        progress.started([_cell(seed) for seed in range(len(outcomes))], 1, "cpu")
        for seed, outcome in enumerate(outcomes):
            progress.run_finished(_cell(seed), outcome)
        progress.say_warnings()
        return capsys.readouterr().err.splitlines()

    return said


def _failed(error):
    return Outcome("id", "failed", 1.0, error)


def _ok(*warnings):
    return Outcome("id", "ok", 1.0, warnings=warnings)


FAILED = """Traceback (most recent call last):
  File "a.py", line 1, in f
package.Error: the cause
"""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FAILED, "package.Error: the cause"),
        ("not started: no source", "not started: no source"),
    ],
)
def test_a_failed_run_says_why_in_one_line(said, error, line):
    assert said(_failed(error))[-1] == f"    {line}"
    assert len(said(_failed(error))) == 3


def test_each_warning_is_said_once_with_the_first_run_that_said_it(said):
    lines = [line for line in said(_ok("a", "b"), _ok("b"), _ok("c"), _ok("b")) if line.startswith("warning")]
    assert lines == ["warning: a (x/x/x/0)", "warning: b (x/x/x/0, and 2 more runs)", "warning: c (x/x/x/2)"]
    assert said(_ok("a"), _ok("a"))[-1] == "warning: a (x/x/x/0, and 1 more run)"


def test_without_warnings_nothing_is_said_of_them(said):
    assert not any("warning" in line for line in said(_ok()))
