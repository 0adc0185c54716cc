from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

import pytest

from rmtl_bench.installation import software as module
from rmtl_bench.installation.software import software


@pytest.fixture
def requiring(fake_distribution, monkeypatch):
    """Install a plugin that requires something."""

    def install(*requirements, extras=()):
        site = fake_distribution("fake-plugin", "")
        [described] = site.glob("*.dist-info/METADATA")
        lines = [f"Requires-Dist: {text}\n" for text in requirements]
        lines += [f"Provides-Extra: {extra}\n" for extra in extras]
        described.write_text(described.read_text() + "".join(lines))
        monkeypatch.syspath_prepend(site)
        return {f.subject: f for f in software(Path("store"))}

    return install


def test_a_plugin_for_another_version_of_the_core_is_a_problem(requiring):
    found = requiring("rmtl-bench>=9,<10")["fake-plugin 1.0"]
    assert (found.state, found.code) == ("problem", 3)
    assert found.said == f"requires rmtl-bench<10,>=9; {metadata.version('rmtl-bench')} is installed"
    assert found.remedy == "pip install 'rmtl-bench<10,>=9'"


def test_a_requirement_that_is_not_installed_is_a_problem(requiring):
    found = requiring("no-such-distribution>=1")["fake-plugin 1.0"]
    assert (found.state, found.said) == (
        "problem",
        "requires no-such-distribution>=1, which is not installed",
    )


def test_another_version_than_an_extra_asks_for_is_a_warning(requiring):
    found = requiring("rmtl-bench>=9; extra == 'new'", extras=("new",))["fake-plugin 1.0"]
    assert (found.state, found.code) == ("warning", 0)
    assert found.said == f"requires rmtl-bench>=9; {metadata.version('rmtl-bench')} is installed"


def test_what_holds_elsewhere_or_fits_is_none(requiring):
    found = requiring("rmtl-bench>=0.0.1", "no-such-distribution; sys_platform == 'nowhere'")
    assert "fake-plugin 1.0" not in found
    assert found["distributions"].state == "ok"
    assert "fake-plugin 1.0" in found["distributions"].said


def test_a_python_that_is_not_tested_is_a_warning(monkeypatch):
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("3", "99", "0"))
    [python] = [f for f in software(Path("store")) if f.subject == "Python"]
    assert python.state == "warning"
    assert python.said.endswith("tested are 3.11 to 3.13")


def test_code_and_installation_of_two_versions_are_a_warning(monkeypatch):
    monkeypatch.setattr(module, "__version__", "77.0")
    [core] = [f for f in software(Path("store")) if f.subject == "rmtl-bench"]
    assert core.state == "warning"
    assert core.said == f"the code is 77.0, but {metadata.version('rmtl-bench')} is what was installed"


def test_an_extra_that_is_not_installed_is_a_note_with_its_command(monkeypatch):
    monkeypatch.setattr(module, "_version", lambda name: None if name == "baycomp" else "99")
    [extra] = [f for f in software(Path("store")) if f.subject == "extra stats"]
    assert (extra.state, extra.said, extra.remedy) == (
        "note",
        "not installed: baycomp",
        "pip install 'rmtl-bench[stats]'",
    )
