"""Spans: names for the parts of a run, to see afterwards where its time went.

Whoever does a part of the work puts it in ``with span("forward"):``. The harness itself uses ``data`` (loading,
drawing batches), ``forward``, ``backward``, ``optimizer``, ``weighting``, ``evaluation`` and ``step``, which is what a
training step does in no span of its own, and a step that a CUDA graph repeats whole. Any other name is a part, too. A
span counts what it spends outside the spans within it, so that the parts of a run add up to the run.

Unless a profile is taken (``rmtl-bench run --profile``), a span is the look at one variable.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

HARNESS = "harness"
"""The part that has all the time which is in no span."""

_NOTHING: AbstractContextManager[None] = nullcontext()
_recorder: SpanRecorder | None = None


def span(name: str) -> AbstractContextManager[None]:
    """Within, the time belongs to the part of the run that has this name; spans may lie in one another."""
    return _NOTHING if _recorder is None else _recorder.span(name)


def active_recorder() -> SpanRecorder | None:
    """Return what records the spans, ``None`` while nothing does."""
    return _recorder


@contextmanager
def recording(recorder: SpanRecorder | None) -> Iterator[None]:
    """Within, spans are recorded by ``recorder``; with ``None`` they are not, and their time is that of what is around.

    A part of a process: it holds for all threads, and a recorder hears the one that made it alone.
    """
    global _recorder
    before = _recorder
    _recorder = recorder
    try:
        yield
    finally:
        _recorder = before


class SpanRecorder:
    """Measures the wall time and counts the spans of each name, from its making on.

    ``seconds`` by part, of :data:`HARNESS` what was in no span; they add up to all the time that has passed until the
    last span or :meth:`settle`. ``counts`` of spans by name. ``ahead``: seconds that had passed before. ``clock``
    returns seconds.
    """

    def __init__(self, ahead: float = 0.0, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float, {HARNESS: ahead})
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._open = [HARNESS]
        self._thread = threading.get_ident()
        self._since = clock()

    def span(self, name: str) -> AbstractContextManager[None]:
        """Return the span of a name; one that means nothing outside the recorder's own thread."""
        return self._span(name) if self.hears() else _NOTHING

    def hears(self) -> bool:
        """Return whether the spans that begin now are recorded."""
        return threading.get_ident() == self._thread

    def settle(self) -> None:
        """Count what has passed since the last span began or ended."""
        self.wait_for_device()
        now = self._clock()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def wait_for_device(self) -> None:
        """Wait for what a span has started elsewhere; nothing by default."""

    def annotated(self, name: str) -> AbstractContextManager[object]:
        """Return what a span is wrapped in besides; nothing by default."""
        return _NOTHING

    @contextmanager
    def _span(self, name: str) -> Iterator[None]:
        self.settle()
        self._open.append(name)
        self.counts[name] += 1
        try:
            with self.annotated(name):
                yield
        finally:
            self.settle()
            self._open.pop()
