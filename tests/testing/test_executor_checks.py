"""Every check of executors finds the executor that breaks it."""

from __future__ import annotations

import re

import pytest

from rmtl_bench.testing import checks_of, find_subjects
from rmtl_bench.testing.checks import run_checks

WRONG = [
    ("no-executor", "target-is-an-executor", "makes a NoExecutor; let the class derive from Executor"),
    ("needs-to-be-opened", "closing-does-no-harm", r"close\(\) without open\(\) raises AttributeError: .*; let close"),
    ("closes-once", "closing-does-no-harm", r"close\(\) a second time raises RuntimeError: it is closed already; let"),
    ("leaves-a-process", "closing-does-no-harm", "a process is left when it is closed; end in close"),
    (
        "refuses-everything",
        "runs-are-made",
        "a run on the CPU is refused: there is no cluster; start what it needs here",
    ),
    ("never-opens", "runs-are-made", "it raised RuntimeError: nobody is at home"),
    ("takes-more", "room-is-as-asked", "returns device 'cpu', 4 jobs and 1 threads; return what was asked for"),
    ("says-nothing-of-its-room", "room-is-as-asked", "returns a Place; return a Room"),
    ("returns-twice", "every-request-is-returned-once", r"of 4 requests wait\(\) returned 8, some twice"),
    ("returns-another", "every-request-is-returned-once", r"of 4 requests wait\(\) returned 4, 4 of them not"),
    ("loses-files", "files-are-there-in-time", "a run that has no run.json, failed: .*; return a request when its"),
    ("learns-faster", "numbers-are-the-same-everywhere", "of table '.*' differs from that of the executor inline; m"),
    ("forgets-the-settings", "numbers-are-the-same-everywhere", "a run that learns ended as failed: TypeError: .*; m"),
    ("loses-files", "a-failed-run-says-why", "a run that raised has left no run.json; let the worker"),
    ("keeps-no-traceback", "a-failed-run-says-why", "a run that raised ended as failed, and .*; keep the record"),
    ("calls-it-failure", "a-killed-run-is-interrupted", "was killed ended as failed: gone; let its Ending say"),
    ("tells-late", "epochs-are-told-in-order", r"by the end of a run the epochs told were \[\], not .*; pass on"),
    ("tells-no-run", "epochs-are-told-in-order", "one of several runs did not say that it had begun; pass on"),
    ("tells-of-another", "epochs-are-told-in-order", "told of a request that nobody has started; tell the request"),
    ("litters", "nothing-is-left-beside-the-runs", "'spool' was left beside the runs' folders; write into the"),
    ("any-device", "unknown-device-is-refused", r"open\(\) accepts device 'cuda:99'; raise a UsageError"),
    ("raises-anything", "unknown-device-is-refused", "raises ValueError: .*; raise a UsageError, before anything"),
    ("any-limit", "limits-are-kept-or-refused", "accepts a limit, and .* says keeps_limits=False; refuse it"),
    (
        "keeps-no-limit",
        "limits-are-kept-or-refused",
        "over its limit of 0.5 s ended as ok; end a run that takes longer",
    ),
    ("lets-runs-go-on", "what-is-closed-stops", r"a run goes on when its executor is closed; end its process in c"),
]


@pytest.fixture(scope="module")
def subject_called(host_of):
    with pytest.MonkeyPatch.context() as patch:
        # The runs' processes inherit it.
        patch.setenv("RMTL_BENCH_LOAD_PLUGINS", "")
        yield lambda name: find_subjects(host_of("wrong_executors.py"), name, "executor")[0]


def test_a_right_executor_passes(subject_called):
    found = {finding.check: finding.state for finding in run_checks(subject_called("right"))}
    assert {name for name, state in found.items() if state != "ok"} == {
        "listing-imports-no-torch",
        "a-killed-run-is-interrupted",
    }
    assert "broken" not in found.values()


def test_what_needs_a_module_that_is_not_there_is_not_judged(subject_called):
    found = {finding.check: finding for finding in run_checks(subject_called("lacks-a-module"))}
    assert {finding.state for finding in found.values()} == {"ok", "not applicable"}
    assert found["runs-are-made"].message.endswith("which is not installed; type: pip install no-such-module")


def test_what_cannot_be_opened_is_broken_once(subject_called):
    found = list(run_checks(subject_called("refuses-everything")))
    assert [finding.check for finding in found if finding.state == "broken"] == ["runs-are-made"]


@pytest.mark.parametrize(("name", "check", "message"), WRONG)
def test_a_wrong_executor_is_caught_with_what_to_change(name, check, message, subject_called, find):
    finding = find(subject_called(name), check)
    assert finding.state == "broken", finding
    assert re.search(message, finding.message), finding.message


def test_every_check_has_a_wrong_executor_that_it_catches():
    own = {check.name for check in checks_of("executor") if check.function.__module__.endswith("executor_checks")}
    assert own == {check for _, check, _ in WRONG}
