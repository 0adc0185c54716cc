from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.plugins import Registry
from rmtl_bench.plugins.registry import KINDS
from rmtl_bench.scaffold import distribution, write_distribution
from rmtl_bench.scaffold.distribution import version_bounds


@pytest.mark.parametrize("kind", KINDS)
def test_a_distribution_is_complete_and_no_placeholder_is_left(kind, tmp_path):
    made = write_distribution(kind, "my-own", tmp_path, Registry())
    assert made.folder == tmp_path / "my-own"
    assert made.suite is None
    found = {str(path.relative_to(made.folder)) for path in made.folder.rglob("*") if path.is_file()}
    assert (
        found
        == set(map(str, made.files))
        == {
            ".github/workflows/ci.yml",
            ".gitignore",
            "README.md",
            "my_own/__init__.py",
            f"my_own/{kind}.py",
            "my_own/plugin.py",
            "my_own/py.typed",
            "pyproject.toml",
            "tests/test_contract.py",
            "tox.ini",
            *["my_own/interactions.csv"] * (kind == "dataset"),
        }
    )
    for path in made.folder.rglob("*.py"):
        text = path.read_text("utf-8")
        assert ast.get_docstring(ast.parse(text)), path
        assert "$" not in text, path
        assert max(map(len, text.splitlines())) <= 120, path
    project = tomllib.loads((made.folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"] == {"rmtl_bench": {"my-own": "my_own.plugin"}}
    assert project["dependencies"][0] == "rmtl-bench[torch]>=0.1,<0.2"
    assert "python-version: ${{ matrix.python }}\n" in (made.folder / ".github/workflows/ci.yml").read_text("utf-8")
    assert "$" not in (made.folder / "README.md").read_text("utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_lines_are_short_enough_under_the_longest_name(kind, tmp_path):
    made = write_distribution(kind, "m" * 40, tmp_path, Registry())
    assert max(len(line) for path in made.folder.rglob("*.py") for line in path.read_text("utf-8").splitlines()) <= 120


@pytest.mark.parametrize(
    ("version", "bounds"), [("0.1.0", ">=0.1,<0.2"), ("0.12.3", ">=0.12,<0.13"), ("2.3.1", ">=2.3,<3")]
)
def test_a_plugin_takes_the_versions_that_keep_the_contracts(version, bounds):
    assert version_bounds(version) == bounds


def test_the_simulated_interactions_are_always_the_same(tmp_path):
    texts = []
    for name in ("first-visits", "second-visits"):
        folder = write_distribution("dataset", name, tmp_path, Registry()).folder
        texts.append((folder / name.replace("-", "_") / "interactions.csv").read_text())
    assert texts[0] == texts[1]
    header, *rows = texts[0].splitlines()
    assert header == "time,user,item,category,device,price,click,buy"
    assert len(rows) == 3000


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path):
    (tmp_path / "my-own").mkdir()
    (tmp_path / "my-own" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="my-own is there already, and not empty"):
        write_distribution("metric", "my-own", tmp_path, Registry())
    assert [path.name for path in tmp_path.rglob("*")] == ["my-own", "notes.txt"]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "my-own").mkdir()
    write_distribution("metric", "my-own", tmp_path, Registry())
    assert (tmp_path / "my-own" / "pyproject.toml").exists()


def test_a_parent_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"--folder .*nowhere is no folder"):
        write_distribution("metric", "my-own", tmp_path / "nowhere", Registry())


def test_where_writing_fails_nothing_is_left(tmp_path, monkeypatch):
    write = Path.write_text

    def fail(path: Path, *arguments: str) -> int:
        if path.name == "tox.ini":
            raise OSError(28, "No space left on device")
        return write(path, *arguments)

    monkeypatch.setattr(distribution.Path, "write_text", fail)
    with pytest.raises(UsageError, match="my-own cannot be written: No space left on device"):
        write_distribution("metric", "my-own", tmp_path, Registry())
    assert list(tmp_path.iterdir()) == []
