"""Start-up of the command line, in processes of its own, beside an empty Python for comparison."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from benchmarks.figures import report

ASKED = {
    "_RMTL_BENCH_COMPLETE": "bash_complete",
    "COMP_WORDS": "rmtl-bench run --suite s",
    "COMP_CWORD": "3",
}
"""What a shell asks by when Tab is pressed after these words."""

COMMANDS = {
    "empty Python": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "--version": ["-P", "-m", "rmtl_bench.cli.main", "--version"],
    "--help": ["-P", "-m", "rmtl_bench.cli.main", "--help"],
    "list backbones": ["-P", "-m", "rmtl_bench.cli.main", "list", "backbones", "--json"],
    "plugins": ["-P", "-m", "rmtl_bench.cli.main", "plugins", "--json"],
    "run --help": ["-P", "-m", "rmtl_bench.cli.main", "run", "--help"],
    "Tab after run --suite s": [
        *("-P", "-c"),
        f"import os; os.environ.update({ASKED}); from rmtl_bench.cli.main import main; main()",
    ],
}
AT_MOST = {"--help": 0.25}
"""Seconds of processor time that are promised."""


@pytest.mark.parametrize("command", COMMANDS)
def test_start_up(benchmark, command):
    benchmark.group = "start-up"
    spent = []

    def start():
        before = _processor_seconds()
        subprocess.run([sys.executable, *COMMANDS[command]], check=True, capture_output=True)
        spent.append(_processor_seconds() - before)

    benchmark.pedantic(start, rounds=7, warmup_rounds=1)
    figures, bounds = {"milliseconds of processor time": 1e3 * min(spent)}, {}
    if promised := AT_MOST.get(command):
        share = f"share of {promised} s of processor time"
        figures[share], bounds[share] = min(spent) / promised, 1.0
    report(benchmark, command, figures, at_most=bounds)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
