"""When an observer stops trying: a server that is gone must not cost every epoch its time-outs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

MOST_FAILURES = 3


class Patience:
    """Counts the failures of an observer in this process; after :data:`MOST_FAILURES` in a row it is at its end.

    The host reports what an observer raises, and goes on. So an error is passed on, to be reported, and counted.
    """

    def __init__(self) -> None:
        self.failures = 0

    @property
    def is_at_its_end(self) -> bool:
        """Whether nothing should be tried any more."""
        return self.failures >= MOST_FAILURES

    def give_up(self) -> None:
        """Be at its end at once: what is lacking will not come."""
        self.failures = MOST_FAILURES

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Within, one thing is tried: an exception counts as a failure and is raised, success forgets those before."""
        try:
            yield
        except Exception:
            self.failures += 1
            raise
        self.failures = 0
