"""One thing that was found about an installation."""

from __future__ import annotations

from dataclasses import dataclass

STATES = ("ok", "note", "warning", "problem")
"""From what is as it should be to what keeps commands from working."""


@dataclass(frozen=True)
class Finding:
    """What was found of a ``subject``, in one line, and what to type, where anything helps.

    ``note``: nothing is wrong, but something could be added. ``warning``: commands work, some not as wished.
    ``problem``: some commands do not; ``code`` is the exit code that they end with, 0 for every other state.
    """

    subject: str
    state: str
    said: str
    remedy: str = ""
    code: int = 0

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"state {self.state!r} is none of {', '.join(STATES)}")
        if (self.state == "problem") != (self.code > 0):
            raise ValueError(f"{self.subject}: a problem has an exit code, a {self.state!r} has {self.code}")
