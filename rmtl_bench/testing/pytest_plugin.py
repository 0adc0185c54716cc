"""The pytest plugin: ``--rmtl-bench-check DISTRIBUTION`` runs the checks over all that a distribution offers.

It is loaded by every pytest in an environment that has rmtl-bench, so it imports nothing until it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rmtl_bench.testing.checks import Check
    from rmtl_bench.testing.subjects import Subject

_HELP = "check every backbone, weighting, data set, metric and executor of this distribution or plugin (repeatable)"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option, and the setting of the same name."""
    group = parser.getgroup("rmtl-bench")
    group.addoption("--rmtl-bench-check", action="append", default=[], metavar="DISTRIBUTION", help=_HELP)
    parser.addini("rmtl_bench_check", _HELP, type="linelist", default=[])


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test for each check of each offer that was asked for."""
    names = [*config.getini("rmtl_bench_check"), *config.getoption("rmtl_bench_check")]
    if not names:
        return
    from rmtl_bench.contracts.errors import RmtlBenchError
    from rmtl_bench.testing.checks import checks_of
    from rmtl_bench.testing.contract_classes import loaded
    from rmtl_bench.testing.subjects import find_subjects

    try:
        subjects = [subject for name in dict.fromkeys(names) for subject in find_subjects(loaded(), name)]
    except RmtlBenchError as error:
        raise pytest.UsageError(str(error)) from error
    items += [
        CheckItem.from_parent(session, name=f"{each.kind} {each.info.name}: {check.name}", subject=each, check=check)
        for each in subjects
        for check in checks_of(each.kind)
    ]


class CheckItem(pytest.Item):
    """One check of one offer as a test."""

    def __init__(self, *, subject: Subject, check: Check, **more: Any) -> None:
        super().__init__(**more)
        self.subject = subject
        self.check = check

    def runtest(self) -> None:
        """Run the check."""
        from rmtl_bench.testing.checks import run_check
        from rmtl_bench.testing.contract_classes import conclude

        conclude(run_check(self.check, self.subject), self.subject)

    def reportinfo(self) -> tuple[str, None, str]:
        """Say where the test stands: nowhere in a file."""
        return self.subject.entry.origin.distribution, None, self.name
