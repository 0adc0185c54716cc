"""Runs in processes forked from a template, and in new ones where that cannot be."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from rmtl_bench.contracts.cell import Component
from rmtl_bench.contracts.executor import Ended
from rmtl_bench.execution.publish import publish_run
from rmtl_bench.execution.starter import RunStarter, may_fork
from rmtl_bench.store.run_files import read_run, read_table

ROUGH = """
import atexit, os, signal, subprocess, sys, threading, time

import torch

from rmtl_bench import Parameter, WeightingInfo, hookimpl
from rmtl_bench.contracts import LossWeighting, Weighted

print("the plugin was imported")
if os.environ.get("ROUGH") == "thread":
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
if os.environ.get("ROUGH") == "raise":
    raise RuntimeError("the plugin cannot be imported")


def say(word):
    # At every level at which a process can say something.
    print(word, "printed", flush=True)
    print(word, "printed late")
    os.write(1, f"{word} written\\n".encode())
    subprocess.run(["echo", word, "echoed"], check=True)


def last(word):
    print(word, "left late")
    atexit.register(print, word, "left at last")
    thread = threading.Thread(target=lambda: (time.sleep(0.1), print(word, "left in a thread")))
    thread.start()


def sleep(word):
    child = subprocess.Popen(["sleep", "600"])
    print("child", child.pid, flush=True)
    time.sleep(600)


def words(word):
    print("last words", file=sys.stderr)
    os._exit(3)


def report(word):
    from importlib.util import find_spec

    names = {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}
    print("compiler", "torch._dynamo" in sys.modules, "threads", torch.get_num_threads(), end=" ")
    print("environment", *(os.environ[name] for name in sorted(names)), "session", os.getsid(0) == os.getpid(), end=" ")
    print("random", torch.rand(()).item(), __import__("numpy").random.rand())
    if word == "needs":
        torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])


DOES = {
    "learn": lambda word: None,
    "say": say,
    "last": last,
    "sleep": sleep,
    "wait": lambda word: time.sleep(1),
    "die": lambda word: os.kill(os.getpid(), signal.SIGKILL),
    "words": words,
    "leave": lambda word: sys.exit(int(word)),
    "report": report,
}


class Rough(LossWeighting):
    def __init__(self, tasks, does, word):
        super().__init__(tasks)
        self.does, self.word = does, word

    def stages(self, context):
        DOES[self.does](self.word)
        yield from super().stages(context)

    def combine(self, losses, logits, batch):
        mean = losses.mean()
        return Weighted(mean.sum(), torch.ones_like(mean))


@hookimpl
def rmtl_weightings():
    parameters = {"does": Parameter("learn", "what it does", choices=tuple(DOES)), "word": Parameter("", "a word")}
    return [WeightingInfo(name="rough", target=f"{__name__}:Rough", summary="does things", parameters=parameters)]
"""

PARENT = """
import sys, time
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.execution.starter import RunStarter, may_fork

request = RunRequest.from_line(sys.stdin.readline())
starter = RunStarter(request.plugin_files)
process = starter.start(request)
print(starter._template.pid, process.pid(), flush=True)
time.sleep(600)
"""

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for the process in /proc")


@pytest.fixture(scope="module")
def rough_plugin(workshop):
    file = workshop.folder / "rough.py"
    file.write_text(ROUGH)
    return file


@pytest.fixture
def rough(workshop, request_for, rough_plugin):
    """A request to make a run that does something rough before it trains."""

    def rough(does="learn", word="", seed=0, threads=1):
        component = Component("rough", "rough", 1, "rough.py", "1", {"does": does, "word": word})
        cell = dataclasses.replace(workshop.cell(seed), weighting=component)
        request = request_for(cell)
        files = (*request.plugin_files, rough_plugin)
        return dataclasses.replace(request, plugin_files=files, threads=threads)

    return rough


def files_of(workshop, rough_plugin):
    return [*workshop.host.files, rough_plugin]


@pytest.fixture(scope="module")
def template(workshop, rough_plugin):
    with RunStarter(files_of(workshop, rough_plugin), fork=True) as starter:
        yield starter


@pytest.fixture(scope="module", params=[True, False], ids=["forked", "spawned"])
def starter(request, template, workshop, rough_plugin):
    if request.param:
        yield template
    else:
        with RunStarter(files_of(workshop, rough_plugin), fork=False) as starter:
            yield starter


def finish(process):
    """Wait for the end of a run; return its exit code and its log."""
    while None not in list(process.events()):
        pass
    code = process.wait()
    return code, process.log.read_text()


def said_by(word, log):
    return [line for line in log.splitlines() if line.startswith(word)]


def is_running(pid):
    try:
        # Nobody may have reaped it: a zombie runs no more.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def command_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def test_a_run_tells_its_epochs_writes_its_folder_and_ends(template, workshop, request_for):
    process = template.start(request_for(workshop.cell()))
    events = []
    while None not in events:
        events += process.events()
    assert [event["epoch"] for event in events[:-1]] == list(range(1, len(events)))
    assert len(events) > 1
    assert process.wait() == 0
    assert read_run(process.request.staging).status == "ok"


def test_a_run_that_is_killed_says_by_what_and_the_others_go_on(starter, rough):
    killed, other = starter.start(rough("die")), starter.start(rough(seed=1))
    code, _ = finish(killed)
    assert code == -signal.SIGKILL
    assert killed.ending(code).error.startswith("the run's process was killed by SIGKILL")
    assert finish(other)[0] == 0
    assert read_run(other.request.staging).status == "ok"


def test_a_process_that_leaves_no_result_is_a_failed_run_with_its_last_words(template, rough, workshop):
    request = rough("words", seed=9)
    staging = workshop.store.staging_folder(request.cell.run_id)
    process = template.start(dataclasses.replace(request, staging=staging))
    code, _ = finish(process)
    ended = Ended(process.request, process.ending(code))
    outcome = publish_run(workshop.store, process.request, ended, process.started)
    assert outcome.status == "failed"
    assert outcome.error.startswith("the run's process exited with code 3 and left no result\n")
    assert outcome.error.endswith("\nlast words")
    assert read_run(workshop.store.runs_path / request.cell.run_id).error == outcome.error


def test_a_run_that_leaves_python_ends_with_the_code_that_it_leaves_with(template, rough):
    processes = [template.start(rough("leave", word, seed)) for seed, word in enumerate(("4", "0"))]
    assert [finish(process)[0] for process in processes] == [4, 0]


def test_runs_are_forked_where_that_is_safe_and_nobody_says_otherwise(monkeypatch):
    monkeypatch.delenv("RMTL_BENCH_FORK", raising=False)
    for platform, forked in (("linux", True), ("darwin", False)):
        monkeypatch.setattr(sys, "platform", platform)
        assert may_fork() == forked
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("RMTL_BENCH_FORK", "0")
    assert not may_fork()


def test_all_that_a_run_says_is_in_its_own_log_and_what_was_said_at_the_imports_in_each(starter, rough):
    ways = ("printed", "printed late", "written", "echoed")
    processes = {word: starter.start(rough("say", word, seed)) for seed, word in enumerate(("apple", "pear"))}
    for word, process in processes.items():
        code, log = finish(process)
        assert code == 0
        assert sorted(said_by(word, log)) == sorted(f"{word} {way}" for way in ways)
        assert log.count("the plugin was imported\n") == 1
        assert ("apple" in log) + ("pear" in log) == 1


def test_a_process_ends_as_a_python_does_with_its_threads_and_exit_handlers(template, rough):
    code, log = finish(template.start(rough("last", "it")))
    assert code == 0
    assert said_by("it", log) == ["it left late", "it left in a thread", "it left at last"]


@needs_proc
def test_killing_a_run_kills_what_it_started_and_no_other_run(template, rough):
    killed, other = template.start(rough("sleep")), template.start(rough("wait", seed=1))
    wait_until(lambda: "child" in killed.log.read_text())
    child = int(killed.log.read_text().split()[-1])
    assert os.getpgid(child) == os.getsid(child) == killed.pid()
    assert os.getsid(other.pid()) == other.pid()
    assert killed.kill() == -signal.SIGKILL
    wait_until(lambda: not is_running(child))
    assert finish(other)[0] == 0


@needs_proc
def test_a_template_that_is_killed_is_replaced_and_takes_no_run_with_it(workshop, rough_plugin, rough):
    with RunStarter(files_of(workshop, rough_plugin), fork=True) as starter:
        running = starter.start(rough("wait"))
        first = running.pid()
        template = starter._template.pid
        os.kill(template, signal.SIGKILL)
        wait_until(lambda: not is_running(template))
        assert is_running(first)
        other = starter.start(rough(seed=1))
        assert starter._template.pid != template
        assert finish(other)[0] == 0
        # Nobody is left who could tell its code; its result is there.
        assert finish(running)[0] is None
        for process in (running, other):
            assert read_run(process.request.staging).status == "ok"
        orphan = starter.start(rough("sleep", seed=2))
        assert orphan.pid()
        os.kill(starter._template.pid, signal.SIGKILL)
        assert orphan.kill() is None
        wait_until(lambda: not is_running(orphan.pid()))


@needs_proc
def test_nothing_is_left_when_the_parent_is_killed(workshop, rough):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=workshop.folder
    )
    try:
        request = rough("sleep")
        parent.stdin.write(request.to_line() + "\n")
        parent.stdin.flush()
        started = [int(word) for word in parent.stdout.readline().split()]
        log = request.staging / "log.txt"
        wait_until(lambda: "child" in log.read_text())
        assert all(is_running(pid) for pid in started)
    finally:
        parent.kill()
        parent.wait()
        parent.stdin.close()
        parent.stdout.close()
    wait_until(lambda: not any(is_running(pid) for pid in started))
    os.kill(int(log.read_text().split()[-1]), signal.SIGKILL)


@needs_proc
def test_where_a_plugin_starts_a_thread_runs_are_not_forked(workshop, rough_plugin, rough, monkeypatch):
    monkeypatch.setenv("ROUGH", "thread")
    with RunStarter(files_of(workshop, rough_plugin), fork=True) as starter:
        process = starter.start(rough("wait"))
        wait_until(lambda: b"rmtl_bench.execution.worker" in command_of(process.pid()))
        assert finish(process)[0] == 0
        assert starter.cuda_devices() == torch.cuda.device_count()


def test_what_fails_at_the_imports_fails_in_the_run_which_says_why(workshop, rough_plugin, rough, monkeypatch):
    monkeypatch.setenv("ROUGH", "raise")
    with RunStarter(files_of(workshop, rough_plugin), fork=True) as starter:
        process = starter.start(rough())
        assert finish(process)[0] == 0
    record = read_run(process.request.staging)
    assert record.status == "failed"
    assert "RuntimeError: the plugin cannot be imported" in record.error


def test_a_template_that_dies_at_its_start_is_what_ended_the_run(workshop, rough, monkeypatch, tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nkill -ILL $$\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with RunStarter(fork=True) as starter:
        for seed in range(2):
            process = starter.start(rough(seed=seed))
            code, _ = finish(process)
            assert process.ending(code).error == "the run's process was killed by SIGILL"


def test_the_devices_are_counted_and_the_template_stays_fit(template, rough):
    assert template.cuda_devices() == torch.cuda.device_count()
    process = template.start(rough("wait"))
    if Path("/proc/self/cmdline").exists():
        assert b"rmtl_bench.execution.template" in command_of(process.pid())
    assert finish(process)[0] == 0


def test_a_run_has_its_own_threads_and_random_state_and_the_compiler_is_imported_when_it_was_needed(
    workshop, rough_plugin, rough
):
    with RunStarter(files_of(workshop, rough_plugin), fork=True) as starter:
        runs = [("plain", 1), ("needs", 2), ("plain", 1)]
        words = [finish(starter.start(rough("report", w, seed, t)))[1].split() for seed, (w, t) in enumerate(runs)]
    words = [line[line.index("compiler") :] for line in words]
    assert [line[1] for line in words] == ["False", "False", "True"]
    assert [line[3] for line in words] == ["1", "2", "1"]
    assert [line[5:7] for line in words] == [["1", "1"], ["2", "2"], ["1", "1"]]
    assert [line[8] for line in words] == ["True"] * 3
    # torch starts with a seed that is fixed, numpy with one that is drawn.
    assert len({line[10] for line in words}) == 1
    assert len({line[11] for line in words}) == 3


def test_runs_of_one_template_give_the_numbers_of_runs_by_themselves_bit_for_bit(
    workshop, rough_plugin, request_for, template, tmp_path
):
    cells = [workshop.cell(0), workshop.cell(1, "toy-mgda")]
    requests = [request_for(cell) for cell in cells]
    for request in requests:
        assert finish(template.start(request))[0] == 0
    alone = [dataclasses.replace(request, staging=tmp_path / f"alone-{n}") for n, request in enumerate(requests)]
    with RunStarter(fork=False) as starter:
        for request in alone:
            request.staging.mkdir()
        for process in [starter.start(request) for request in alone]:
            assert finish(process)[0] == 0
    for request, other in zip(requests, alone, strict=True):
        for name in ("metrics", "weights", "predictions", "history"):
            one, two = read_table(request.staging, name), read_table(other.staging, name)
            assert one.keys() == two.keys()
            same = one["quantity"] != "seconds" if name == "history" else slice(None)
            for column in one:
                np.testing.assert_array_equal(one[column][same], two[column][same])
