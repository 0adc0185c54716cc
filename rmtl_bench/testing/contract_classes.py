"""The checks as classes for pytest: derive one, supply the fixture ``plugin``, and every check is a test."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rmtl_bench.contracts.errors import RmtlBenchError
from rmtl_bench.plugins.host import PluginHost, load_plugins
from rmtl_bench.testing.checks import Check, Finding, checks_of, refuse_unknown, run_check
from rmtl_bench.testing.subjects import Subject, find_subjects

Named = str | tuple[str, Mapping[str, Any]]
"""What the fixture ``plugin`` returns: a name, or a name and parameters."""


class Contract:
    """What the five classes share.

    The fixture ``plugin`` returns the name of the offer, or its name and parameters other than the defaults; it may be
    parametrized. ``without``: checks that are left out, each with its reason. ``plugin_files``: one-file plugins to
    load beside the installed ones.
    """

    kind: ClassVar[str] = ""
    without: ClassVar[Mapping[str, str]] = {}
    plugin_files: ClassVar[tuple[Path, ...]] = ()

    @pytest.fixture
    def plugin(self) -> Named:
        """Return what is tested: a class that derives from this one supplies it."""
        raise NotImplementedError(
            f"{type(self).__name__} has to supply the fixture 'plugin': the name of a {self.kind}"
        )

    @pytest.fixture
    def data_dir(self) -> Path | None:
        """Return where raw files lie; ``None``, the default: nowhere."""
        return None

    @pytest.fixture
    def subject(self, plugin: Named, data_dir: Path | None) -> Subject:
        """Return the offer that is tested."""
        name, given = (plugin, {}) if isinstance(plugin, str) else plugin
        try:
            (subject,) = find_subjects(loaded(self.plugin_files), name, self.kind, given, data_dir)
        except RmtlBenchError as error:
            pytest.fail(str(error), pytrace=False)
        return subject

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a test of each check."""
        if "check" in metafunc.fixturenames:
            for name in self.without:
                refuse_unknown(name, self.kind)
            checks = checks_of(self.kind)
            metafunc.parametrize("check", checks, ids=[each.name for each in checks])

    def test_contract(self, check: Check, subject: Subject) -> None:
        """Run one check."""
        if check.name in self.without:
            pytest.skip(f"left out: {self.without[check.name]}")
        conclude(run_check(check, subject), subject)


class BackboneContract(Contract):
    """What every backbone keeps to."""

    kind = "backbone"


class WeightingContract(Contract):
    """What every weighting keeps to."""

    kind = "weighting"


class DatasetContract(Contract):
    """What every data set keeps to. Override the fixture ``data_dir`` where it reads raw files."""

    kind = "dataset"


class MetricContract(Contract):
    """What every metric keeps to."""

    kind = "metric"


class ExecutorContract(Contract):
    """What every executor keeps to."""

    kind = "executor"


@lru_cache
def loaded(files: tuple[Path, ...] = ()) -> PluginHost:
    """Return the installed plugins and some one-file ones, loaded once."""
    return load_plugins(files)


def conclude(finding: Finding, subject: Subject) -> None:
    """End a test as a finding says."""
    __tracebackhide__ = True
    if finding.state == "not applicable":
        pytest.skip(f"not applicable: {finding.message}")
    if finding.state == "broken":
        behind = f"\n\n{finding.traceback}" if finding.traceback else ""
        pytest.fail(f"{subject.label}: {finding.check}: {finding.message}{behind}", pytrace=False)
