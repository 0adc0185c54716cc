"""Hostile input in a short form; the long one is ``python -m benchmarks.fuzz``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_damaged_suites_run_folders_and_event_tables_are_read_or_refused_in_one_line():
    command = [sys.executable, "-m", "benchmarks.fuzz", "--cases", "30", "--command-line", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("suite", "run-folder", "events"):
        assert f"{kind} " in done.stdout
    assert "FINDING" not in done.stdout
