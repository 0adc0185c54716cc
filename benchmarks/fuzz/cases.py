"""Cases run one after another, each under a limit of time, and what came of them."""

from __future__ import annotations

import contextlib
import faulthandler
import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.fuzz import MEMORY, SECONDS
from rmtl_bench.contracts.errors import RmtlBenchError

FINDING = "FINDING"
_SHOWN = 10
# The one message that lists, by design: what is missing and where it was looked for.
_LISTS = "raw files are missing"


class TooLongError(BaseException):
    """A case took longer than it may; no handler of the code under test catches this."""


@dataclass
class Outcomes:
    """What came of the cases of one kind: how many by outcome, the slowest, and the findings in words."""

    kind: str
    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)

    def note(self, outcome: str, seconds: float) -> None:
        """Count a case."""
        self.counts[outcome] += 1
        self.slowest = max(self.slowest, seconds)
        self.seconds += seconds

    def found(self, what: str, text: str) -> None:
        """Note a finding; of many alike, some are kept."""
        self.counts[f"{FINDING}: {what}"] += 1
        if len(self.findings) < _SHOWN:
            self.findings.append(text)


def run_cases(
    kind: str,
    strategy: st.SearchStrategy[Any],
    read: Callable[[Any], None],
    cases: int,
    keep: Callable[[Any, Path], None] | None = None,
    folder: Path | None = None,
    start: int = 0,
    seconds: float = SECONDS,
) -> Outcomes:
    """Draw ``cases`` cases from a strategy, read each, and return what came of them.

    ``keep`` writes a case that is a finding into a folder below ``folder``. ``start`` chooses the cases. ``seconds``:
    the most that one may take; 0: what it reads with sees to that.
    """
    outcomes = Outcomes(kind)

    @seed(start)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(case: Any) -> None:
        started = time.perf_counter()
        try:
            with _limited(seconds):
                read(case)
            outcome = "accepted"
        except RmtlBenchError as error:
            outcome = type(error).__name__
            if "\n" in str(error) and _LISTS not in str(error):
                outcomes.found("several lines", repr(str(error))[:2_000])
        except (Exception, TooLongError) as error:
            outcome = type(error).__name__
            where = None if keep is None or folder is None else folder / f"{kind}-{sum(outcomes.counts.values())}"
            if where is not None and keep is not None:
                where.mkdir(parents=True, exist_ok=True)
                keep(case, where)
            outcomes.found(outcome, f"{where}: {''.join(traceback.format_exception(error)[-6:])[-3_000:]}")
        outcomes.note(outcome, time.perf_counter() - started)

    before = _peak()
    each()
    if (grown := _peak() - before) > MEMORY:
        outcomes.found("memory", f"the memory of the process has grown by {grown:,} bytes")
    return outcomes


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooLongError(f"more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    # A library that never comes back is met by this alone; it ends the process, with the place on stderr.
    if seconds:
        faulthandler.dump_traceback_later(6 * seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
