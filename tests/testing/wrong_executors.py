"""An executor that is right, and for each check one that is wrong in a single way; most make runs where they are."""

from __future__ import annotations

import os
from dataclasses import replace

from rmtl_bench import ExecutorInfo, hookimpl
from rmtl_bench.contracts import UsageError
from rmtl_bench.contracts.device import resolve_device
from rmtl_bench.contracts.executor import Ended, Ending
from rmtl_bench.contracts.run_request import NO_LIMITS
from rmtl_bench.execution.inline_executor import InlineExecutor
from rmtl_bench.execution.process_executor import ProcessExecutor


class Right(InlineExecutor):
    """Makes runs where it is."""


class NoExecutor:
    open, start, wait, close = (getattr(InlineExecutor, name) for name in ("open", "start", "wait", "close"))


class NeedsToBeOpened(InlineExecutor):
    tells = None

    def open(self, job, tell):
        self.tells = tell
        return super().open(job, tell)

    def close(self):
        self.tells.close()


class ClosesOnce(InlineExecutor):
    closed = False

    def close(self):
        if self.closed and self._host:
            raise RuntimeError("it is closed already")
        self.closed = True
        super().close()


class LeavesAProcess(InlineExecutor):
    def open(self, job, tell):
        os.posix_spawnp("sleep", ["sleep", "4"], os.environ)
        return super().open(job, tell)


class RefusesEverything(InlineExecutor):
    def open(self, job, tell):
        raise UsageError("there is no cluster")


class NeverOpens(InlineExecutor):
    def open(self, job, tell):
        raise RuntimeError("nobody is at home")


class TakesMore(InlineExecutor):
    def open(self, job, tell):
        return replace(super().open(job, tell), jobs=4)


class SaysNothingOfItsRoom(InlineExecutor):
    def open(self, job, tell):
        room = super().open(job, tell)
        return type("Place", (), vars(room))()


class ReturnsTwice(InlineExecutor):
    def wait(self, seconds):
        return [ended for ended in super().wait(seconds) for _ in range(2)]


class ReturnsAnother(InlineExecutor):
    def wait(self, seconds):
        return [Ended(replace(ended.request, keep=True), ended.ending) for ended in super().wait(seconds)]


class LosesFiles(InlineExecutor):
    def wait(self, seconds):
        found = super().wait(seconds)
        for ended in found:
            # A run that lacks it because it was told to kill its process would be one of an own process.
            if ended.request.cell.weighting.parameters["behaviour"] != "kill":
                (ended.request.staging / "run.json").unlink()
        return found


class LearnsFaster(InlineExecutor):
    def _make(self, request):
        cell = replace(request.cell, trainer={**request.cell.trainer, "learning_rate": 0.02})
        super()._make(replace(request, cell=cell))


class ForgetsTheSettings(InlineExecutor):
    def _make(self, request):
        super()._make(replace(request, cell=replace(request.cell, trainer={})))


class KeepsNoTraceback(InlineExecutor):
    def wait(self, seconds):
        found = super().wait(seconds)
        for ended in found:
            record = ended.request.staging / "run.json"
            record.write_text(record.read_text().replace("Traceback (most recent call last)", "It failed"))
        return found


class TellsLate(InlineExecutor):
    def open(self, job, tell):
        self._held, self._later = [], tell
        return super().open(job, lambda *event: self._held.append(event))

    def wait(self, seconds):
        for event in self._held:
            self._later(*event)
        self._held.clear()
        return super().wait(seconds)


class TellsNoRun(InlineExecutor):
    def open(self, job, tell):
        def strip(request, event):
            tell(request, {name: value for name, value in event.items() if name != "begun"})

        return super().open(job, strip)


class TellsOfAnother(InlineExecutor):
    def open(self, job, tell):
        return super().open(job, lambda request, event: tell(replace(request, keep=True), event))


class Litters(InlineExecutor):
    def start(self, request):
        (request.staging.parent / "spool").mkdir(exist_ok=True)
        super().start(request)


class AnyDevice(InlineExecutor):
    def open(self, job, tell):
        return super().open(replace(job, device="cpu"), tell)


class RaisesAnything(InlineExecutor):
    def open(self, job, tell):
        try:
            resolve_device(job.device)
        except Exception as error:
            raise ValueError(str(error)) from error
        return super().open(job, tell)


class AnyLimit(InlineExecutor):
    def open(self, job, tell):
        return super().open(replace(job, limits=NO_LIMITS), tell)


class CallsItFailure(ProcessExecutor):
    def wait(self, seconds):
        return [Ended(ended.request, Ending("failed", "gone")) for ended in super().wait(seconds)]


_KEPT = []


class LetsRunsGoOn(ProcessExecutor):
    def close(self):
        _KEPT.extend(self._running)
        self._running.clear()
        super().close()


def described(made, keeps_limits=False):
    name = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in made.__name__).strip("-")
    target = f"{__name__}:{made.__name__}"
    return ExecutorInfo(name=name, target=target, summary="an executor", keeps_limits=keeps_limits)


@hookimpl
def rmtl_executors():
    here = [
        *(
            Right,
            NoExecutor,
            NeedsToBeOpened,
            ClosesOnce,
            NeverOpens,
            LeavesAProcess,
            RefusesEverything,
            TakesMore,
            SaysNothingOfItsRoom,
            ReturnsTwice,
        ),
        *(ReturnsAnother, LosesFiles, LearnsFaster, ForgetsTheSettings, KeepsNoTraceback, TellsLate, TellsNoRun),
        *(TellsOfAnother, Litters, AnyDevice, RaisesAnything, AnyLimit),
    ]
    lacking = {"name": "lacks-a-module", "needs": ("no_such_module",), "install": "pip install no-such-module"}
    promising = replace(described(AnyLimit, keeps_limits=True), name="keeps-no-limit")
    processes = [described(made, keeps_limits=True) for made in (CallsItFailure, LetsRunsGoOn)]
    return [*map(described, here), promising, replace(described(Right), **lacking), *processes]
