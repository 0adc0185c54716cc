"""Texts for people: durations, sizes, what a traceback comes down to, foreign texts made harmless for a terminal."""

from __future__ import annotations

import re

_TRACEBACK = "Traceback (most recent call last)"

# Control sequences (colours, cursor, screen) and operating system commands (titles, links) of terminals.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?|\x9b[0-?]*[ -/]*[@-~]")


def duration(seconds: float) -> str:
    """Return seconds as ``12 s``, ``3 min 05 s`` or ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: int) -> str:
    """Return a number of bytes as ``512 MB`` or ``1.5 GB``, of powers of ten."""
    if count < 10**6:
        return f"{-(-count // 1000)} kB"
    return f"{count / 10**6:.0f} MB" if count < 10**9 else f"{count / 10**9:.1f} GB"


def reason(error: str) -> str:
    """Return the line of a traceback that says what went wrong; of any other text, and of a longer message, the first.

    A text without a line gives an empty one.
    """
    lines = [line for line in error.splitlines() if line.strip()]
    if not lines or not lines[0].startswith(_TRACEBACK):
        return (lines or [""])[0]
    head = max(place for place, line in enumerate(lines) if line.startswith(_TRACEBACK))
    return next((line for line in lines[head + 1 :] if not line.startswith(" ")), lines[-1])


def printable(text: str) -> str:
    """Return a text that no terminal takes for a command: what is no character to be seen is left out.

    Lines stay lines, a tab becomes four spaces.
    """
    plain = _ESCAPES.sub("", text).replace("\t", "    ").replace("\xa0", " ")
    return "".join(c for c in plain if c == "\n" or c.isprintable())
