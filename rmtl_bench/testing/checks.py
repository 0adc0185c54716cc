"""Checks: what each is called, what it is about, and how one ends.

A check is a function that is given a :class:`~rmtl_bench.testing.subjects.Subject`. It returns where all is well,
raises :class:`Broken` where the subject does not keep to its contract, in a message that says what to change, and
:class:`NotApplicable` where it has nothing to look at. Anything else that it raises was raised by the subject.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, NoReturn

from rmtl_bench.contracts.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from rmtl_bench.testing.subjects import Subject

_MODULES = {
    "backbone": ("description_checks", "backbone_checks"),
    "weighting": ("description_checks", "weighting_checks", "weighting_step_checks"),
    "dataset": ("description_checks", "dataset_checks"),
    "metric": ("description_checks", "metric_checks"),
    "executor": ("description_checks", "executor_checks"),
}
"""The modules that hold the checks of a kind, in the order in which they are run."""

State = Literal["ok", "broken", "not applicable", "left out"]


class Broken(Exception):  # noqa: N818 -- the plugin is broken, which is no error of the check
    """A subject does not keep to its contract: the message says what was seen, and what to change."""


class NotApplicable(Exception):  # noqa: N818 -- nothing is wrong
    """A check has nothing to look at in this subject: the message says why."""


Function = Callable[["Subject"], None]


@dataclass(frozen=True)
class Check:
    """One promise of a contract. ``summary``: the promise, in one line."""

    name: str
    summary: str
    function: Function


@dataclass(frozen=True)
class Finding:
    """How a check ended. ``message`` says what is wrong, or why the check did not apply; ``traceback``: of an exception
    that the subject raised.
    """

    check: str
    state: State
    message: str = ""
    traceback: str = ""


def check(function: Function) -> Function:
    """Mark a function as a check: its name, with hyphens, is the check's; its docstring's first line the summary."""
    function.is_check = True  # type: ignore[attr-defined]
    return function


def checks_of(kind: str) -> list[Check]:
    """Return the checks of a kind: ``backbone``, ``weighting``, ``dataset``, ``metric`` or ``executor``, in order.

    Raises :class:`~rmtl_bench.contracts.errors.UsageError` for another kind.
    """
    if kind not in _MODULES:
        raise UsageError(f"unknown kind {kind!r}" + did_you_mean(kind, _MODULES))
    functions = [
        value
        for module in _MODULES[kind]
        for value in vars(import_module(f"rmtl_bench.testing.{module}")).values()
        if getattr(value, "is_check", False) and value.__module__ == f"rmtl_bench.testing.{module}"
    ]
    return [
        Check(function.__name__.replace("_", "-"), (function.__doc__ or "").partition("\n")[0].strip(), function)
        for function in functions
    ]


def run_check(check: Check, subject: Subject) -> Finding:
    """Run one check and say how it ended. Nothing that the subject does is raised, but for what ends the process."""
    try:
        check.function(subject)
    except Broken as broken:
        return Finding(check.name, "broken", str(broken))
    except NotApplicable as reason:
        return Finding(check.name, "not applicable", str(reason))
    except Exception as error:
        if isinstance(error, UsageError) and str(error) == subject.info.obstacle:
            return Finding(check.name, "not applicable", str(error))
        text = (str(error).splitlines() or [""])[0]
        message = f"it raised {type(error).__name__}: {text}"
        return Finding(check.name, "broken", message, "".join(traceback.format_exception(error)))
    return Finding(check.name, "ok")


def run_checks(
    subject: Subject, without: Mapping[str, str] | Sequence[str] = (), only: Sequence[str] = ()
) -> Iterator[Finding]:
    """Run the checks of a subject's kind, one after another.

    ``without``: names of checks that are left out, with reasons where it is a mapping; ``only``: none but these. Raises
    :class:`~rmtl_bench.contracts.errors.UsageError` for a name that is none of the kind's.
    """
    checks = checks_of(subject.kind)
    for name in (*without, *only):
        refuse_unknown(name, subject.kind)
    for each in checks:
        if only and each.name not in only:
            continue
        if each.name in without:
            reason = without[each.name] if isinstance(without, Mapping) else ""
            yield Finding(each.name, "left out", reason)
            continue
        yield run_check(each, subject)


def refuse_unknown(name: str, kind: str) -> None:
    """Raise ``UsageError`` where a kind has no check of that name."""
    names = [each.name for each in checks_of(kind)]
    if name not in names:
        raise UsageError(f"a {kind} has no check {name!r}" + did_you_mean(name, names))


def broken(seen: str, change: str) -> NoReturn:
    """Raise :class:`Broken`: what was seen, and what to change."""
    raise Broken(f"{seen}; {change}")
