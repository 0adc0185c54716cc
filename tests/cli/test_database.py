"""``rmtl-bench db check``, and every reading command at a store that cannot be written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from rmtl_bench.store import Store

# One process for all: each command imports what it needs once.
COMMANDS = """
import sys
from rmtl_bench.cli.main import cli
store, target, run = sys.argv[1:]
suite = ["--suite", "tiny"]
for command in (
    ["leaderboard", *suite], ["status"], ["status", *suite], ["show", run],
    ["compare", "ple/mine", "ple/equal", *suite],
    ["report", *suite, "--output", target + "/report.html"], ["export", *suite, "--output", target + "/scores.csv"],
    ["db", "sql", "SELECT * FROM v_scores"], ["db", "check"], ["db", "export", target + "/store.tgz"], ["prune"],
):
    print("##", *command, flush=True)
    code = cli.main([*command, "--store", store], prog_name="rmtl-bench", standalone_mode=False)
    print("## exit", code or 0, flush=True)
"""


@pytest.fixture
def store(tmp_path, publish_suite):
    store = Store.open(tmp_path / "store")
    publish_suite(store, {"equal": 0.0, "mine": 0.01}, seeds=3)
    for run in store.runs():
        # The suite's predictions are written after the runs were published.
        (run.path / "checksums.json").unlink()
    return store


def test_damage_is_told_line_by_line_and_by_the_exit_code(rmtl_bench, store):
    whole = rmtl_bench("db", "check", "--store", store.path)
    assert (whole.returncode, whole.stderr) == (0, "")
    assert whole.stdout.splitlines() == [
        "6 folders without checksums: an earlier version has made them",
        "6 run folders and 1 plans examined; nothing damaged",
    ]
    broken = next(store.runs()).path / "metrics.parquet"
    broken.write_bytes(b"PAR1")
    found = rmtl_bench("db", "check", "--store", store.path)
    assert found.returncode == 5
    first, *_, last = found.stdout.splitlines()
    assert first.startswith(f"damaged: {broken} cannot be read")
    assert first.endswith("put it back from a copy, or delete the folder and run its suite again")
    assert last == "6 run folders and 1 plans examined; 1 damaged"
    as_json = rmtl_bench("db", "check", "--json", "--store", store.path)
    assert as_json.returncode == 5
    data = json.loads(as_json.stdout)
    assert (data["damaged"], data["runs"], data["without_checksums"]) == (True, 6, 6)
    (finding,) = data["findings"]
    assert (finding["path"], finding["damage"]) == (str(broken.parent), True)


@pytest.fixture
def read_only(store):
    """The path of the store where nobody can write it: for a user by its rights, for root by a mount."""
    if os.geteuid() != 0:
        paths = [store.path, *store.path.rglob("*")]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield store.path
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
        return
    mounted = store.path.with_name("mounted")
    mounted.mkdir()
    if subprocess.run(["mount", "--bind", store.path, mounted], capture_output=True, check=False).returncode:
        pytest.skip("root may write anywhere, and may not mount here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", mounted], check=True)
        yield mounted
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_every_reading_command_works_where_nothing_can_be_written(read_only, store, tmp_path, clean_environment):
    target = tmp_path / "target"
    target.mkdir()
    before = sorted(store.path.rglob("*"))
    run = next(store.runs()).run_id
    command = [sys.executable, "-P", "-c", COMMANDS, read_only, target, run]
    own = {"TMPDIR": str(target)}
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment | own, check=False)
    assert (done.returncode, done.stderr.count("error"), done.stderr.count("warning")) == (0, 0, 0), done.stderr
    assert done.stdout.count("## exit 0") == 11, done.stdout
    assert {path.name for path in target.iterdir()} == {"report.html", "scores.csv", "store.tgz"}
    assert sorted(store.path.rglob("*")) == before


def test_what_cannot_be_written_is_one_line(rmtl_bench, read_only, store, tmp_path):
    other = Store.open(tmp_path / "other")
    shutil.copytree(next(store.runs()).path, other.runs_path / next(store.runs()).path.name)
    for command in (("db", "rebuild"), ("prune", "--yes"), ("merge", other.path)):
        refused = rmtl_bench(*command, "--store", read_only)
        assert (refused.returncode, refused.stdout) == (5, "")
        (line,) = refused.stderr.splitlines()
        assert "Read-only file system" in line or "Permission denied" in line
