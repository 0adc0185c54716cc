"""Start-up of the command line, in processes of its own, beside an empty Python for comparison."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMANDS = {
    "empty Python": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "--version": ["-P", "-m", "rmtl_bench.cli.main", "--version"],
    "list backbones": ["-P", "-m", "rmtl_bench.cli.main", "list", "backbones", "--json"],
    "plugins": ["-P", "-m", "rmtl_bench.cli.main", "plugins", "--json"],
    "run --help": ["-P", "-m", "rmtl_bench.cli.main", "run", "--help"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_start_up(benchmark, command):
    benchmark.group = "start-up"

    def start():
        subprocess.run([sys.executable, *COMMANDS[command]], check=True, capture_output=True)

    benchmark.pedantic(start, rounds=7, warmup_rounds=1)
