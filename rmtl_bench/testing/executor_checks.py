"""What every executor keeps to."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from rmtl_bench.contracts.catalogue import ExecutorInfo
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.contracts.executor import Ending, Executor, Room
from rmtl_bench.contracts.run_request import Limits, RunRequest
from rmtl_bench.store.run_files import read_run, read_table
from rmtl_bench.testing.checks import NotApplicable, broken, check
from rmtl_bench.testing.kept import KeptBySubject
from rmtl_bench.testing.probe_runs import (
    Round,
    Workplace,
    expected_round,
    make_round,
    sitting,
    sleeping_cell,
    workplace,
)
from rmtl_bench.testing.subjects import Subject

_TABLES = ("metrics", "predictions", "weights", "history")
_NO_DEVICE = "cuda:99"
_LIMIT_SECONDS = 0.5
_GRACE_SECONDS = 1.0


def _new(subject: Subject) -> Executor:
    made: Executor = subject.load()(**subject.parameters)
    return made


def _place(subject: Subject) -> Workplace:
    return workplace(tuple(subject.host.files))


@KeptBySubject
def _round_or_error(subject: Subject) -> Round | Exception:
    executor = _new(subject)
    try:
        return make_round(_place(subject), executor)
    except Exception as error:
        return error


def _round(subject: Subject) -> Round:
    """Return the probe runs as the executor makes them, made when they are first asked for."""
    found = _round_or_error(subject)
    if isinstance(found, Exception):
        raise NotApplicable("it makes no runs: see runs-are-made")
    return found


@check
def target_is_an_executor(subject: Subject) -> None:
    """The target is a class that derives from Executor."""
    made = _new(subject)
    if not isinstance(made, Executor):
        broken(f"{subject.info.target} makes a {type(made).__name__}", "let the class derive from Executor")


@check
def runs_are_made(subject: Subject) -> None:
    """It opens, and makes runs one after another."""
    found = _round_or_error(subject)
    if isinstance(found, UsageError):
        broken(f"a run on the CPU is refused: {found}", "start what it needs here, or give it other parameters")
    if isinstance(found, Exception):
        raise found


@check
def closing_does_no_harm(subject: Subject) -> None:
    """close() may come without open(), without a run, and twice; no process is left behind."""
    _close(_new(subject), "without open()")
    _round(subject)
    before, executor = _children(), _new(subject)
    executor.open(_place(subject).job(), lambda *_: None)
    _close(executor, "without a run")
    _close(executor, "a second time")
    if any(_lives(number) for number in _children() - before):
        broken("a process is left when it is closed", "end in close() what open() has started")


def _close(executor: Executor, when: str) -> None:
    try:
        executor.close()
    except Exception as error:
        what = f"close() {when} raises {type(error).__name__}: {error}".splitlines()[0]
        broken(what, "let close() give back what was taken, if it was")


def _children() -> set[int]:
    """Return the numbers of this process's children, but for those that multiprocessing keeps for later."""
    found = set()
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for number in listed.read_text().split():
                if "multiprocessing" not in Path(f"/proc/{number}/cmdline").read_text():
                    found.add(int(number))
    return found


@check
def room_is_as_asked(subject: Subject) -> None:
    """open() returns a Room of at least one job and one thread, and of no more than was asked for."""
    room = _round(subject).sitting.room
    if not isinstance(room, Room):
        broken(f"open() returns a {type(room).__name__}", "return a Room")
    if (room.device, room.jobs, room.threads) != ("cpu", 1, 1):
        seen = f"device {room.device!r}, {room.jobs} jobs and {room.threads} threads"
        broken(f"open() for one job of one thread on the CPU returns {seen}", "return what was asked for, or refuse it")


@check
def every_request_is_returned_once(subject: Subject) -> None:
    """wait() returns every request that was started, once, as it was given."""
    made = _round(subject)
    asked, returned = list(made.requests), [ended.request for ended in made.sitting.ended]
    if returned != asked:
        missing = [request for request in asked if request not in returned]
        which = f"{len(missing)} of them not" if missing else "some twice, or in another order than they ended"
        broken(
            f"of {len(asked)} requests wait() returned {len(returned)}, {which}", "return each once, as it was given"
        )


@check
def files_are_there_in_time(subject: Subject) -> None:
    """When wait() returns a request, the folders of its runs are complete."""
    made = _round(subject)
    complete = dict(
        zip((ended.request.cell.run_id for ended in made.sitting.ended), made.sitting.complete, strict=True)
    )
    for request in (made.plain, made.failing, made.seeds):
        if not complete[request.cell.run_id]:
            ending = _ending(made, request)
            broken(
                f"wait() returned a run that has no run.json, {ending.status}: {ending.error}".splitlines()[0],
                "return a request when its files lie in the folders that it names",
            )


@check
def numbers_are_the_same_everywhere(subject: Subject) -> None:
    """Metrics, predictions, weights and history of a run are, bit for bit, those of the executor inline."""
    made, expected = _round(subject), expected_round(_place(subject))
    for one, other in (
        (made.plain, expected.plain),
        *zip(made.seeds.runs, expected.seeds.runs, strict=True),
    ):
        _succeeded(one)
        for name in _TABLES:
            found, right = (_measured_out(read_table(run.staging, name)) for run in (one, other))
            for column in right:
                if column not in found or not np.array_equal(
                    found[column], right[column], equal_nan=_number(right, column)
                ):
                    broken(
                        f"{column!r} of table {name!r} differs from that of the executor inline",
                        "make the request as it is, with the threads and the device that it names",
                    )


def _number(columns: Mapping[str, Any], column: str) -> bool:
    return bool(np.issubdtype(columns[column].dtype, np.floating))


def _succeeded(run: RunRequest) -> None:
    record = read_run(run.staging)
    if record.status != "ok":
        last = (record.error.strip().splitlines() or [""])[-1]
        broken(f"a run that learns ended as {record.status}: {last}", "make the request as it is")


def _measured_out(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a table without the rows that say how long something took."""
    quantity = columns.get("quantity")
    kept = slice(None) if quantity is None else np.asarray(quantity) != "seconds"
    return {name: np.asarray(values)[kept] for name, values in columns.items()}


@check
def a_failed_run_says_why(subject: Subject) -> None:
    """A run that raises comes back failed, with its traceback."""
    failing = _round(subject).failing
    if not (failing.staging / "run.json").is_file():
        broken("a run that raised has left no run.json", "let the worker write it: it does, whatever the run raises")
    record = read_run(failing.staging)
    last = (record.error.strip().splitlines() or [""])[-1]
    if record.status != "failed" or not record.error.startswith("Traceback") or "told to raise" not in last:
        broken(
            f"a run that raised ended as {record.status}, and its error ends in {last!r}",
            "keep the record that the worker has written",
        )


@check
def a_killed_run_is_interrupted(subject: Subject) -> None:
    """Where a run has a process of its own and that is killed, it ends as interrupted, and the next run is made."""
    made = _round(subject)
    if not made.isolated:
        raise NotApplicable("a run has no process of its own")
    ending = _ending(made, made.killed)
    if ending.status != "interrupted":
        broken(
            f"a run whose process was killed ended as {ending.status}: {ending.error}",
            "let its Ending say 'interrupted': it may be made again as it is",
        )


def _ending(made: Round, request: RunRequest) -> Ending:
    for ended in made.sitting.ended:
        if ended.request == request:
            return ended.ending
    raise NotApplicable("the request was not returned")


@check
def epochs_are_told_in_order(subject: Subject) -> None:
    """Each epoch is told once, in order, by the request that was started, before wait() returns it."""
    made = _round(subject)
    if any(request not in (*made.requests, made.stopped) for request, _ in made.sitting.told):
        broken("something was told of a request that nobody has started", "tell the request as it was given")
    _told_in_order(made, made.plain, made.plain, None)
    for run in made.seeds.runs:
        _told_in_order(made, made.seeds, run, run.cell.run_id)


def _told_in_order(made: Round, request: RunRequest, run: RunRequest, run_id: str | None) -> None:
    which = [ended.request for ended in made.sitting.ended]
    heard = made.sitting.heard[which.index(request)] if request in which else 0
    events = [event for asked, event in made.sitting.told[:heard] if asked == request and event.get("run") == run_id]
    seen = [(event.get("stage"), event.get("epoch")) for event in events if "epoch" in event]
    right = [("train", epoch) for epoch in range(1, run.cell.trainer["max_epochs"] + 1)]
    what = "one of several runs" if request.others else "a run"
    change = "pass on what the worker tells, as it tells it"
    if seen != right:
        broken(f"by the end of {what} the epochs told were {seen}, not {right}", change)
    if request.others and not events[0].get("begun"):
        broken(f"{what} did not say that it had begun", change)


@check
def nothing_is_left_beside_the_runs(subject: Subject) -> None:
    """Nothing is written beside the folders that requests name."""
    made = _round(subject)
    named = {run.staging.name for request in (*made.requests, made.stopped) for run in request.runs}
    if left := sorted(path.name for path in made.sitting.staging.iterdir() if path.name not in named):
        broken(f"{left[0]!r} was left beside the runs' folders", "write into the folders of requests, and nowhere else")


@check
def unknown_device_is_refused(subject: Subject) -> None:
    """open() refuses a device that is nowhere by a UsageError that names it."""
    _round(subject)
    executor = _new(subject)
    try:
        executor.open(_place(subject).job(_NO_DEVICE), lambda *_: None)
    except UsageError as error:
        if _NO_DEVICE not in str(error):
            broken(f"device {_NO_DEVICE!r} is refused by {str(error)!r}", "let the error name the device")
    except Exception as error:
        what = f"open() for device {_NO_DEVICE!r} raises {type(error).__name__}: {error}".splitlines()[0]
        broken(what, "raise a UsageError, before anything is run")
    else:
        broken(f"open() accepts device {_NO_DEVICE!r}", "raise a UsageError, before anything is run")
    finally:
        executor.close()


@check
def limits_are_kept_or_refused(subject: Subject) -> None:
    """With keeps_limits, a run over its time ends as timeout; without it, open() refuses a limit by a UsageError."""
    _round(subject)
    limits, place = Limits(seconds=_LIMIT_SECONDS), _place(subject)
    if not cast("ExecutorInfo", subject.info).keeps_limits:
        _refuses(_new(subject), place, limits)
        return
    numbers = place.new_folder("numbers")
    with sitting(place, _new(subject), limits) as found:
        found.make(found.request(sleeping_cell(place, numbers), limits=limits))
    (ended,) = found.ended
    if found.complete[0]:
        record = read_run(ended.request.staging)
        broken(
            f"a run over its limit of {_LIMIT_SECONDS:g} s ended as {record.status}",
            "end a run that takes longer, or declare keeps_limits=False",
        )
    if ended.ending.status != "timeout":
        broken(f"a run over its limit of time ended as {ended.ending.status}", "let its Ending say 'timeout'")


def _refuses(executor: Executor, place: Workplace, limits: Limits) -> None:
    try:
        executor.open(place.job(limits=limits), lambda *_: None)
    except UsageError:
        return
    finally:
        executor.close()
    broken("open() accepts a limit, and the description says keeps_limits=False", "refuse it by a UsageError")


@check
def what_is_closed_stops(subject: Subject) -> None:
    """close() stops at once whatever still goes on."""
    made = _round(subject)
    alive = [path.name for path in made.numbers.iterdir() if int(path.name) != os.getpid() and _lives(int(path.name))]
    if alive or (made.stopped.staging / "run.json").is_file():
        broken("a run goes on when its executor is closed", "end its process in close()")


def _lives(number: int) -> bool:
    """Return whether a process is there after a while. One that nobody has asked for its end yet is dead."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline:
        try:
            os.kill(number, 0)
            if Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except (ProcessLookupError, FileNotFoundError):
            return False
        time.sleep(0.02)
    return True
