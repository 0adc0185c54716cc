"""``rmtl-bench list`` and ``run`` on what the installation lacks modules for."""

from __future__ import annotations

import json

import pytest

INSTALL = "pip install no-such-solver"


@pytest.fixture
def listed(rmtl_bench, toy_plugin):
    """List the weightings of the toys alone."""

    def run(*options):
        files = ("--plugin", toy_plugin, "--plugin", toy_plugin.with_name("solver_plugin.py"))
        done = rmtl_bench("list", "weightings", *files, *options, env={"RMTL_BENCH_LOAD_PLUGINS": ""})
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def test_a_row_says_what_is_lacking_and_what_to_type(listed):
    rows = {line.split()[0]: line for line in listed().splitlines()[2:]}
    note = f"weights that solve | something  [lacks no_such_solver; type: {INSTALL}]"
    assert note in rows["solver-weights"]
    for name in ("solver-free", "toy-equal"):
        assert "lacks" not in rows[name]


def test_json_says_what_is_needed_and_what_of_it_is_lacking(listed):
    rows = {row["name"]: row for row in json.loads(listed("--json"))}
    keys = ("needs", "lacking", "install")
    assert [rows["solver-weights"][key] for key in keys] == [["no_such_solver"], ["no_such_solver"], INSTALL]
    assert [rows["solver-free"][key] for key in keys] == [["json"], [], "pip install json"]
    assert [rows["toy-equal"][key] for key in keys] == [[], [], ""]


def test_a_run_skips_what_lacks_a_module_and_says_what_to_type(rmtl_bench, toy_plugin, toy_suite, tmp_path):
    text = toy_suite.read_text().replace("toy-mgda", "solver-weights")
    (tmp_path / "suite.toml").write_text(text)
    files = ("--plugin", toy_plugin, "--plugin", toy_plugin.with_name("solver_plugin.py"))
    done = rmtl_bench("run", "--suite", tmp_path / "suite.toml", *files, "--dry-run", "--store", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    said = "skipped toy-sessions/toy-logistic/solver-weights: weighting 'solver-weights' needs no_such_solver, "
    assert [line.strip() for line in done.stderr.splitlines() if "solver-weights" in line] == [
        f"{said}which is not installed; type: {INSTALL}"
    ]
    assert len(done.stdout.splitlines()) == 3
