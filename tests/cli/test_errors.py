"""Bad input: one clear line, the documented exit code, no traceback, nothing left behind."""

from __future__ import annotations

import pytest

from rmtl_bench.cli.options import FORMATS
from rmtl_bench.report import formats


@pytest.fixture
def refused(rmtl_bench):
    """Run a command that has to fail; return its exit code and its one line."""

    def run(*arguments):
        done = rmtl_bench(*arguments)
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr
        return done.returncode, lines[0]

    return run


@pytest.fixture
def edited(toy_suite, tmp_path):
    """The toy suite with one text replaced by another."""

    def edit(old, new):
        text = toy_suite.read_text()
        assert old in text
        path = tmp_path / "edited.toml"
        path.write_text(text.replace(old, new))
        return path

    return edit


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("seeds = 3", "seedz = 3", 2, "unknown key 'seedz'; did you mean 'seeds'?"),
        ("seeds = 3", 'seeds = "3"', 2, "parameter 'seeds' is '3'; it takes a whole number"),
        ('"session-logloss"', '"session-loglos"', 2, "unknown metric 'session-loglos'; did you mean 'session-logloss'"),
        ("toy-logistic", "toy-logistik", 2, "unknown backbone 'toy-logistik'; did you mean 'toy-logistic'?"),
        (
            "[backbones.toy-logistic]",
            "[backbones.toy-logistic]\nparameters = { widht = 4 }",
            2,
            "did you mean 'width'?",
        ),
        (
            "[backbones.toy-logistic]",
            "[backbones.toy-logistic]\nparameters = { width = 0 }",
            2,
            "is 0; it takes a whole number of at least 1",
        ),
        (
            "patience = 1",
            "patiense = 1",
            2,
            "trainer has no parameter 'patiense', given as 1; did you mean 'patience'?",
        ),
        ('["toy-logistic"]', '["toy-logistics"]', 2, "there is no [backbones.toy-logistics]; did you mean"),
        ("schema = 1", "schema = 2", 2, "parameter 'schema' is 2; it takes one of 1"),
        ("schema = 1", "schema = ", 2, "cannot be read"),
    ],
)
def test_a_suite_file_that_cannot_be_is_refused(refused, edited, toy_plugin, tmp_path, old, new, code, said):
    path = edited(old, new)
    found = refused("run", "--suite", path, "--plugin", toy_plugin, "--store", tmp_path / "store")
    assert found[0] == code
    assert said in found[1]
    assert not list((tmp_path / "store" / "runs").glob("*"))


def test_an_unknown_suite_is_named_with_its_nearest(refused, tmp_path):
    code, line = refused("run", "--suite", "no-such-suite.toml", "--store", tmp_path / "store")
    assert code == 2
    assert "no-such-suite.toml" in line
    code, line = refused("leaderboard", "--suite", "toy", "--store", tmp_path)
    assert (code, line) == (5, f"error: there is no store at {tmp_path}; a run makes one")


def test_an_unknown_command_or_option_is_named_with_its_nearest(refused):
    assert refused("leaderbord")[1].startswith("error: unknown command 'leaderbord'; did you mean 'leaderboard'?")
    code, line = refused("run", "--suite", "toy", "--devise", "cpu")
    assert code == 2
    assert "--devise" in line


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cuda:99"])
def test_an_impossible_device_is_refused(refused, toy_suite, toy_plugin, tmp_path, device):
    arguments = ("--suite", toy_suite, "--plugin", toy_plugin, "--store", tmp_path / "store")
    code, line = refused("run", *arguments, "--device", device)
    assert code == 2
    assert repr(device) in line
    assert "auto, cpu" in line or "CUDA" in line


def test_a_store_that_is_a_file_is_refused_by_every_command(refused, toy_suite, toy_plugin, tmp_path):
    store = tmp_path / "file"
    store.write_text("precious")
    for command in (
        ("run", "--suite", toy_suite, "--plugin", toy_plugin),
        ("leaderboard", "--suite", "toy"),
        ("compare", "a/b", "a/c", "--suite", "toy"),
        ("diagnostics", "--suite", "toy"),
        ("status",),
        ("show", "0123"),
        ("power", "--suite", "toy"),
        ("export", "--suite", "toy", "--output", "-"),
        ("db", "rebuild"),
        ("db", "sql", "SELECT 1"),
    ):
        code, line = refused(*command, "--store", store)
        assert code == 5
        assert str(store) in line
    assert store.read_text() == "precious"


def test_a_pattern_that_matches_no_cell_is_refused(refused, toy_suite, toy_plugin, tmp_path):
    store = tmp_path / "store"
    code, line = refused("run", "--suite", toy_suite, "--plugin", toy_plugin, "--store", store, "--only", "*/toy-eqal")
    assert code == 2
    assert "--only '*/toy-eqal' matches no cell" in line


def test_a_status_that_cannot_be_retried_is_refused(refused, toy_suite, toy_plugin, tmp_path):
    store = tmp_path / "store"
    code, line = refused("run", "--suite", toy_suite, "--plugin", toy_plugin, "--store", store, "--retry", "broken")
    assert code == 2
    assert "'broken'" in line


def test_a_plugin_file_that_raises_is_refused_with_its_error(refused, tmp_path):
    plugin = tmp_path / "bad.py"
    plugin.write_text("raise RuntimeError('half an idea')\n")
    code, line = refused("list", "backbones", "--plugin", plugin)
    assert code == 3
    assert "bad.py" in line
    assert "half an idea" in line


def test_debug_shows_the_traceback(rmtl_bench, tmp_path):
    done = rmtl_bench("run", "--suite", "no-such.toml", "--store", tmp_path / "store", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_the_formats_offered_are_those_there_are():
    assert set(FORMATS) == set(formats.FORMATS)
