from __future__ import annotations

import os
import subprocess
import sys


def rmtl_bench(*arguments: object, env=None) -> str:
    """The command line as a user runs it."""
    command = [sys.executable, "-P", "-m", "rmtl_bench.cli.main", *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_suite_runs_by_its_name(tmp_path):
    env = {"RMTL_BENCH_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    rmtl_bench("run", "--suite", "my-lab", "--sample", "--store", tmp_path / "store", env=env)
    board = rmtl_bench("leaderboard", "--suite", "my-lab", "--sample", "--store", tmp_path / "store", "--format", "csv")
    assert all(f"{method}" in board for method in ("film/fixed", "film/uncertainty", "shared-bottom/fixed"))


def test_what_is_offered_is_listed_without_importing_torch():
    code = (
        "import sys; from my_lab.plugin import *; "
        "print(*[i.name for i in [*rmtl_backbones(), *rmtl_datasets()]]); "
        "assert not {'torch', 'duckdb', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["film", "visits", "visits-example"]
