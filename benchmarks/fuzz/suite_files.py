"""Suite files: read, expanded into cells, and kept as a plan."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz.values import damaged, damaged_bytes, to_toml
from rmtl_bench.plugins import load_plugins
from rmtl_bench.suites import expand, read_suite


def suite_files() -> st.SearchStrategy[bytes]:
    """The suites of the installed plugins, damaged."""
    contents = [path.read_bytes() for path, _ in load_plugins().registry.suites]
    documents = [tomllib.loads(content.decode()) for content in contents]

    @st.composite
    def one(draw: Callable[..., Any]) -> bytes:
        number = draw(st.integers(0, len(contents) - 1))
        content = contents[number]
        most = 3
        if draw(st.booleans()):
            content, most = to_toml(draw(damaged(documents[number]))), draw(st.integers(0, 1))
        damaged_content: bytes = draw(damaged_bytes(content, most))
        return damaged_content

    return one()


def suite_reader(folder: Path) -> Callable[[bytes], None]:
    """Return what reads a suite file as ``run --dry-run`` does, its sample too, without data."""
    registry = load_plugins().registry
    path = folder / "suite.toml"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        suite = read_suite(path)
        expand(suite, registry, lambda component: "f" * 16)
        if suite.has_sample:
            read_suite(path, sample=True)

    return read


def keep(case: bytes, folder: Path) -> None:
    """Write a case where it can be looked at."""
    (folder / "suite.toml").write_bytes(case)
