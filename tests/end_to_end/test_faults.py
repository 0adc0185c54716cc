"""Faults in a short form; the long one is ``python -m benchmarks.faults``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = ("kill-command", "damaged-run", "damaged-index", "full-disk")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it finds processes in /proc"),
]


def test_whatever_befalls_a_run_of_a_suite_the_same_command_makes_up_for_it():
    command = [sys.executable, "-m", "benchmarks.faults", "--rounds", "4", "--at-once", "4", "--only", ",".join(FAULTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^all +4 +4 +4 +4 ", done.stdout, re.MULTILINE), done.stdout
    assert "FINDING" not in done.stderr
