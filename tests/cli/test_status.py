"""``rmtl-bench status``, as a user types it."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from rmtl_bench.store import Store

COMMAND = [sys.executable, "-P", "-m", "rmtl_bench.cli.main"]
LATEST = 120


@pytest.fixture
def slow_suite(toy_suite, tmp_path):
    """The toy suite with one weighting, whose two runs take seconds."""
    text = toy_suite.read_text()
    slow = '[weightings.toy-equal]\n[weightings.slow]\nplugin = "toy-equal"\nparameters = { behaviour = "sleep" }'
    text = text.replace("[weightings.toy-equal]", slow).replace('"toy-equal", "toy-mgda"', '"slow"')
    text = text.replace("seeds = 3", "seeds = 2").replace("*/toy-mgda", "*/slow")
    path = tmp_path / "slow.toml"
    path.write_text(text)
    return path


@pytest.fixture
def started(clean_environment, toy_plugin, slow_suite, tmp_path):
    """Start the slow suite in another process; return that and the store."""
    processes = []

    def start():
        store = tmp_path / "store"
        command = [*COMMAND, "run", "--suite", str(slow_suite), "--plugin", str(toy_plugin), "--store", str(store)]
        process = subprocess.Popen(
            [*command, "--jobs", "1"], env=clean_environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        processes.append(process)
        return process, store

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def _status(rmtl_bench, store, *arguments):
    done = rmtl_bench("status", "--store", store, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _until(look, found):
    """Look again and again until ``found`` says yes of what is seen."""
    deadline = time.monotonic() + LATEST
    while True:
        if (seen := look()) is not None and found(seen):
            return seen
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)


def _seen(rmtl_bench, store):
    done = rmtl_bench("status", "--suite", "toy", "--store", store, "--json")
    return json.loads(done.stdout)["suites"][0] if done.returncode == 0 else None


@pytest.mark.slow
def test_a_run_in_progress_is_seen_with_its_stage_and_is_not_disturbed(rmtl_bench, started):
    process, store = started()

    def look():
        return _seen(rmtl_bench, store)

    suite = _until(look, lambda seen: seen["runs_in_progress"] and seen["runs_in_progress"][0]["epoch"])
    (run,) = suite["runs_in_progress"]
    assert run["label"].startswith("toy-sessions/toy-logistic/slow/")
    assert run["stage"] == "train"
    assert 0 < run["score"] < 1
    assert suite["running"] == 1
    assert suite["planned"] == 2
    _, said = process.communicate(timeout=LATEST)
    assert process.returncode == 0, said
    suite = look()
    assert (suite["ok"], suite["running"], suite["runs_in_progress"]) == (2, 0, [])
    names = {path.name for folder in (store / "runs").iterdir() for path in folder.iterdir()}
    assert "progress.json" not in names


@pytest.mark.slow
def test_what_a_killed_command_leaves_is_not_running(rmtl_bench, started, slow_suite, toy_plugin):
    process, store = started()
    _until(lambda: _seen(rmtl_bench, store), lambda seen: seen["running"])
    process.kill()
    process.wait()
    # The run's own process ends with its parent.
    suite = _until(lambda: _seen(rmtl_bench, store), lambda seen: not seen["running"])
    assert suite["runs_in_progress"] == []
    assert suite["to_come"] >= 1
    left = [path.name for path in (store / "staging").iterdir()]
    assert len(left) == 2
    assert Store.open(store).clean_staging() == [name for name in left if not name.endswith(".lock")]


@pytest.mark.slow
def test_watching_in_a_pipe_says_each_change_and_ends_with_the_last_run(rmtl_bench, started):
    process, store = started()
    _until(lambda: _seen(rmtl_bench, store), lambda seen: seen["running"])
    lines = _status(rmtl_bench, store, "--suite", "toy", "--watch", "--interval", "0.2").splitlines()
    assert process.wait(timeout=LATEST) == 0
    said = [line.split("  ", 1)[1] for line in lines]
    assert len(said) == len(set(said)) >= 2
    assert "1 running" in said[0]
    assert said[-1] == "toy@1: 2 ok"


@pytest.mark.slow
def test_watching_is_ended_by_ctrl_c_with_130_and_the_runs_go_on(rmtl_bench, started, clean_environment):
    process, store = started()
    _until(lambda: _seen(rmtl_bench, store), lambda seen: seen["running"])
    command = [*COMMAND, "status", "--store", str(store), "--watch", "--interval", "0.2"]
    watch = subprocess.Popen(command, env=clean_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "1 running" in watch.stdout.readline()
    watch.send_signal(signal.SIGINT)
    _, said = watch.communicate(timeout=LATEST)
    assert (watch.returncode, said.strip()) == (130, "")
    assert process.wait(timeout=LATEST) == 0


@pytest.fixture(scope="module")
def store(tmp_path_factory, publish_cell, plan_cells):
    """A store at rest with a failed run of a hostile name."""
    store = Store.open(tmp_path_factory.mktemp("status") / "store")
    trace = "Traceback (most recent call last):\n  File 'x'\nValueError: \x1b[31m[red]no[/red] <script>\n"
    cells = [publish_cell(store, "equal", 0), publish_cell(store, "[bold]\x1b[2J<b>", 0, "failed", trace)]
    plan_cells(store, cells)
    plan_cells(store, cells[:1], sample=True)
    return store


def test_a_store_has_a_line_a_suite(rmtl_bench, store):
    text = _status(rmtl_bench, store.path)
    assert "tiny@1               2   1       1        -        -" in text
    assert "tiny@1+sample        1   1       -        -        -" in text


def test_hostile_names_and_errors_are_text(rmtl_bench, store):
    text = _status(rmtl_bench, store.path, "--suite", "tiny")
    assert "\x1b" not in text
    assert "  sessions/ple/[bold]<b>/0  failed  ValueError: [red]no[/red] <script>\n" in text


def test_an_encoding_without_the_letters_is_no_obstacle(rmtl_bench, tmp_path, publish_cell, plan_cells):
    store = Store.open(tmp_path / "store")
    plan_cells(store, [publish_cell(store, "gewöhnlich", 0)])
    done = rmtl_bench("status", "--suite", "tiny", "--store", store.path, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "ple/gew?hnlich" in done.stdout


def test_watching_a_store_at_rest_ends_at_once(rmtl_bench, store):
    lines = _status(rmtl_bench, store.path, "--watch", "--interval", "0.1").splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == ["tiny@1: 1 ok, 1 failed", "tiny@1+sample: 1 ok"]


def test_watching_on_a_terminal_shows_names_as_they_are(store, clean_environment):
    parent, child = pty.openpty()
    command = [*COMMAND, "status", "--suite", "tiny", "--store", str(store.path), "--watch", "--interval", "0.1"]
    environment = clean_environment | {"COLUMNS": "80", "LINES": "40", "TERM": "xterm"}
    watch = subprocess.Popen(command, env=environment, stdout=child, stderr=child, stdin=subprocess.DEVNULL)
    os.close(child)
    shown = b""
    deadline = time.monotonic() + LATEST
    while time.monotonic() < deadline:
        if not select.select([parent], [], [], 1)[0]:
            continue
        try:
            shown += os.read(parent, 4096)
        except OSError:
            break
    os.close(parent)
    assert watch.wait(timeout=LATEST) == 0
    assert b"[bold]<b>" in shown
    assert b"[red]no[/red] <script>" in shown
    assert b"\x1b[2J" not in shown


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--suite", "tinny"), 2, "did you mean 'tiny@1'"),
        (("--sample",), 2, "--sample needs --suite"),
        (("--watch", "--json"), 2, "--watch and --json exclude each other"),
        (("--watch", "--interval", "0"), 2, "--interval"),
        (("--store", "/nowhere"), 5, "there is no store at /nowhere"),
    ],
)
def test_what_cannot_be_is_one_line(rmtl_bench, store, arguments, code, said):
    refused = rmtl_bench("status", "--store", store.path, *arguments)
    assert (refused.returncode, refused.stdout) == (code, "")
    (line,) = refused.stderr.splitlines()
    assert said in line


def test_a_broken_run_folder_is_passed_over_with_a_warning(rmtl_bench, tmp_path, publish_cell, plan_cells):
    store = Store.open(tmp_path / "store")
    cells = [publish_cell(store, "equal", seed) for seed in range(2)]
    plan_cells(store, cells)
    (store.runs_path / cells[0].run_id / "run.json").write_text("{")
    done = rmtl_bench("status", "--suite", "tiny", "--store", store.path)
    assert done.returncode == 0
    assert "2 planned: 1 ok, 1 to come" in done.stdout
    assert done.stderr.startswith("warning: passed over: ")


@pytest.mark.parametrize("name", ["status", "show", "power", "export"])
def test_the_help_of_a_command_imports_nothing_heavy(name, clean_environment):
    code = (
        "import sys\n"
        "from rmtl_bench.cli.main import cli\n"
        "try:\n"
        f"    cli([{name!r}, '--help'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'torch', 'pandas', 'scipy', 'matplotlib', 'numpy', 'duckdb', 'rich'} & sys.modules.keys()\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env=clean_environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: -c {name} [OPTIONS]")
