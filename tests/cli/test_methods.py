"""``rmtl-bench methods``: a page on what is installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

ALONE = {"RMTL_BENCH_LOAD_PLUGINS": ""}


@pytest.fixture
def files(toy_plugin):
    return ("--plugin", toy_plugin, "--plugin", toy_plugin.with_name("solver_plugin.py"))


def test_the_page_has_what_one_file_plugins_offer_and_the_command_for_what_is_lacking(rmtl_bench, files):
    done = rmtl_bench("methods", *files, env=ALONE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "5 weightings, 3 backbones." in done.stdout
    assert "#### solver-weights\n\nweights that solve \\| something\n" in done.stdout
    assert "type `pip install no-such-solver`" in done.stdout
    assert "- from: toy\\_plugin.py" in done.stdout


def test_a_third_partys_distribution_is_on_the_page_and_a_broken_one_is_named(rmtl_bench, fake_distribution):
    offer = """
from rmtl_bench import BackboneInfo, hookimpl
@hookimpl
def rmtl_backbones():
    return [BackboneInfo(name="theirs", target="nowhere:Nothing", summary="of others")]
@hookimpl
def rmtl_weightings(): raise ValueError('later')
"""
    site = fake_distribution("third-party", offer)
    done = rmtl_bench("methods", env={"RMTL_BENCH_LOAD_PLUGINS": "third-party", "PYTHONPATH": str(site)})
    assert done.returncode == 0
    assert "### theirs\n\nof others\n\n- from: third-party\n" in done.stdout
    assert done.stderr == "broken plugins, see `rmtl-bench plugins`: third-party (third-party 1.0)\n"


def test_the_page_is_written_to_a_file(rmtl_bench, files, tmp_path):
    page = tmp_path / "methods.md"
    done = rmtl_bench("methods", *files, "--output", page, env=ALONE)
    assert (done.returncode, done.stdout) == (0, "")
    assert page.read_text(encoding="utf-8") == rmtl_bench("methods", *files, env=ALONE).stdout
    refused = rmtl_bench("methods", "--output", tmp_path / "nowhere" / "methods.md", env=ALONE)
    assert refused.returncode == 2
    assert "methods.md cannot be written: No such file or directory" in refused.stderr


def test_the_page_needs_no_torch(clean_environment):
    code = "import sys; from rmtl_bench.cli.main import cli; cli(['methods'], standalone_mode=False); "
    code += "sys.exit('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env=clean_environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# Methods\n")
