from __future__ import annotations

from pathlib import Path

import pytest

from rmtl_bench.installation.plugins import plugins

OFFER = """
from rmtl_bench import WeightingInfo, hookimpl

@hookimpl
def rmtl_weightings():
    return [WeightingInfo(name="even", target="x:Y", summary="", {more})]
"""


@pytest.fixture
def examine(monkeypatch):
    """Return what is found of these plugins, by name with their code, and of the core's own."""

    def with_plugins(tmp_path, **codes):
        for name, code in codes.items():
            monkeypatch.syspath_prepend(_site(tmp_path, name, code))
        monkeypatch.setenv("RMTL_BENCH_LOAD_PLUGINS", ",".join(codes))
        return list(plugins(Path("store")))

    return with_plugins


def _site(tmp_path, name, code):
    site = tmp_path / f"site-{name}"
    info = site / f"{name}-2.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text(code)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(f"[rmtl_bench]\n{name} = {name}\n")
    return site


def test_a_broken_plugin_is_a_problem_also_where_the_environment_is_strict(examine, tmp_path, monkeypatch):
    monkeypatch.setenv("RMTL_BENCH_STRICT_PLUGINS", "1")
    [broken] = [f for f in examine(tmp_path, sick="1 / 0") if f.state == "problem"]
    assert (broken.subject, broken.code) == ("plugin sick (sick 2.0)", 3)
    assert broken.said == "broken, importing: ZeroDivisionError: division by zero"
    assert broken.remedy == "rmtl-bench plugins --traceback, or pip uninstall sick"


def test_a_plugin_that_ends_the_program_is_a_problem_and_no_end(examine, tmp_path):
    [broken] = [f for f in examine(tmp_path, leaving="raise SystemExit('enough')") if f.state == "problem"]
    assert broken.said == "broken, importing: SystemExit: enough"


def test_a_name_that_two_claim_is_a_problem(examine, tmp_path):
    found = examine(tmp_path, one=OFFER.format(more=""), two=OFFER.format(more=""))
    [clash] = [f for f in found if f.state == "problem"]
    assert clash.said.startswith("weighting 'even' is claimed by one 2.0 and two 2.0: uninstall one")


def test_what_lacks_a_module_is_a_note_with_the_command(examine, tmp_path):
    more = 'needs=("no_such_solver",), install="pip install solver"'
    found = examine(tmp_path, needy=OFFER.format(more=more))
    [lacking] = [f for f in found if f.remedy == "pip install solver"]
    assert lacking.state == "note"
    assert lacking.said == "without no_such_solver, which is not installed: weighting even"


def test_nothing_to_run_is_a_warning(examine, tmp_path):
    assert [f.remedy for f in examine(tmp_path) if f.state == "warning"] == ["pip install 'rmtl-bench[all]'"]
