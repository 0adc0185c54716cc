"""The example script of the documentation, run as its own docstring says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "read_results.py"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="the documentation is not in a source distribution")


def run(*arguments):
    command = [sys.executable, "-P", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_reads_a_store_from_scores_to_report(small_store, tmp_path):
    report = tmp_path / "report.html"
    done = run(small_store, "tiny@1", "logistic/mine", "logistic/plain", report)
    assert (done.returncode, done.stderr) == (0, "")
    assert "suites in this store: tiny@1" in done.stdout
    assert "logistic/mine on sessions, click: AUC 0.6420 [" in done.stdout
    assert done.stdout.splitlines()[-1] == f"the report: {report}"
    assert report.stat().st_size > 10_000


def test_without_arguments_it_says_how_it_is_called():
    done = run()
    assert done.returncode == 1
    assert "python docs/read_results.py results/store paper+sample ple/rmtl ple/rmtl-cw report.html" in done.stderr
