"""The errors a user can cause, each with the exit code the command line ends with.

====  ======================================================================================
code  meaning
====  ======================================================================================
0     everything asked for was done
1     the command worked, but some runs failed (or: an error nobody foresaw)
2     usage: an unknown name, parameter, device or option, a malformed suite file
3     plugin: a plugin is broken, or two plugins claim one name
4     data: raw files are missing or malformed; results that are no true submission
5     store: the result store cannot be used
130   interrupted by Ctrl-C
====  ======================================================================================
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_COMPARED = 200
_NAMES_COMPARED = 20_000
_LISTED = 200


class RmtlBenchError(Exception):
    """Base of all foreseen errors; its text is one clear line for the user."""

    exit_code = 1


class UsageError(RmtlBenchError):
    """The user named something that does not exist, or gave a value that cannot be."""

    exit_code = 2


class PluginError(RmtlBenchError):
    """A plugin is broken, or two plugins claim the same name."""

    exit_code = 3


class DataError(RmtlBenchError):
    """Raw data are missing or malformed, or results are no true submission."""

    exit_code = 4


class StoreError(RmtlBenchError):
    """The result store cannot be read or written."""

    exit_code = 5


class DivergedError(RmtlBenchError):
    """A training produced a loss, weight or prediction that is not finite."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint to append to "unknown ... 'name'": the nearest known names, or all of them.

    The hint starts with a colon or a semicolon, so that it continues the sentence.
    """
    names = sorted(known)
    # The time to compare two texts grows with the square of their length.
    near = [] if len(name) > _COMPARED else difflib.get_close_matches(name, _short(names), n=3, cutoff=0.6)
    if near:
        return "; did you mean " + " or ".join(repr(n) for n in near) + "?"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"; known: {', '.join(names[:_LISTED])}{more}" if names else "; none is known (is a plugin missing?)"


def _short(names: Iterable[str]) -> list[str]:
    return [name for name in names if len(name) <= _COMPARED][:_NAMES_COMPARED]
