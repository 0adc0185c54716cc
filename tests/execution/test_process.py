"""The parent's view of a run's process, with a process that each test plays itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from rmtl_bench.contracts.executor import DISK_FULL, Ending
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.execution.process import RunProcess


class Played:
    """Holds the ends that a run's process would have."""

    def __init__(self):
        self.ends = None

    def start(self, ends):
        self.ends = [os.dup(descriptor) for descriptor in ends]
        return lambda: -signal.SIGSEGV

    def tell(self, **facts):
        os.write(self.ends[3], json.dumps(facts).encode() + b"\n")

    def say(self, text):
        os.write(self.ends[1], text)

    def end(self):
        for descriptor in self.ends:
            os.close(descriptor)


@pytest.fixture
def played():
    return Played()


@pytest.fixture
def process(workshop, request_for, played):
    return RunProcess(request_for(workshop.cell()), played.start)


def test_the_request_arrives_on_the_standard_input_and_stays_open(process, played):
    line = os.read(played.ends[0], 65536).decode()
    assert RunRequest.from_line(line) == process.request
    os.set_blocking(played.ends[0], False)
    with pytest.raises(BlockingIOError):
        os.read(played.ends[0], 1)
    played.end()
    process.wait()


def test_events_are_lines_however_they_arrive(process, played):
    played.say(b'{"epoch": 1}\n{"epo')
    assert list(process.events()) == [{"epoch": 1}]
    played.say(b'ch": 2}\n{"cut')
    assert list(process.events()) == [{"epoch": 2}]
    played.tell(pid=1)
    played.tell(code=0)
    played.end()
    assert list(process.events()) == [None]
    assert process.wait() == process.wait() == 0


@pytest.mark.parametrize(
    ("told", "code", "status", "reason"),
    [
        ([{"pid": 1}, {"code": -9}], -9, "interrupted", "the run's process was killed by SIGKILL"),
        ([{"pid": 1}, {"code": 3}], 3, "failed", "the run's process exited with code 3 and left no result"),
        ([{"pid": 1}], None, "interrupted", "the run's process ended, nobody knows how, and left no result"),
        # It was never started: what ended the process that should have done it ended the run.
        ([], -signal.SIGSEGV, "failed", "the run's process was killed by SIGSEGV"),
    ],
)
def test_how_a_process_ended_is_known_as_far_as_anybody_can(process, played, told, code, status, reason):
    os.write(played.ends[2], b"last words\n")
    for facts in told:
        played.tell(**facts)
    played.end()
    assert process.wait() == code
    assert process.ending(code) == Ending(status, f"{reason}\nlast words")


def test_a_process_that_the_system_killed_for_want_of_memory_is_out_of_memory(monkeypatch, process, played):
    monkeypatch.setattr("rmtl_bench.execution.process.oom_kills", lambda: 2**40)
    assert process.ending(-9).status == "oom"
    assert process.ending(-15).status == "interrupted"


def test_killing_a_process_that_has_ended_or_never_started_kills_nobody(process, played, monkeypatch):
    monkeypatch.setattr(os, "killpg", lambda *arguments: pytest.fail(f"killed {arguments}"))
    played.tell(pid=os.getpid())
    played.tell(code=0)
    played.end()
    assert process.kill() == process.kill() == process.wait() == 0


def test_a_process_whose_starter_is_gone_is_killed_and_waited_for(process, played):
    child = subprocess.Popen(["sleep", "600"], stdout=played.ends[1], start_new_session=True)
    played.tell(pid=child.pid)
    played.end()
    assert process.kill() is None
    assert child.wait(10) == -signal.SIGKILL


def test_a_process_that_found_the_disk_full_says_so_by_its_exit_code(process):
    ending = process.ending(DISK_FULL)
    assert (ending.status, ending.disk_full) == ("interrupted", True)
    assert not process.ending(1).disk_full
