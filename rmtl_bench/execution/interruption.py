"""Ctrl-C and SIGTERM, heard where a run is neither being started nor being published."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self


class Interruption:
    """Within, Ctrl-C and SIGTERM are heard at safe points only: in between, a run is started or published whole.

    The second signal is obeyed at once. Outside the main thread, where no signal arrives, nothing changes.
    """

    def __init__(self) -> None:
        self._heard = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise :class:`KeyboardInterrupt` if a signal was heard."""
        if self._heard:
            raise KeyboardInterrupt

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self._heard:
            raise KeyboardInterrupt
        self._heard = True
