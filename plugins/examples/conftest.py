"""Lets the examples' tests run without installing the examples.

Installed, they would stand in every list of backbones and data sets that this repository's other tests look at. So
each is made to look installed while its own tests run, by the metadata that an installation would have written. Where
it is really installed, nothing is done. A copy of an example needs none of this: it is installed, and tested.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent

# Test modules import the packages when they are collected.
sys.path += [str(project.parent) for project in sorted(EXAMPLES.glob("*/pyproject.toml"))]


@pytest.fixture(scope="module", autouse=True)
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The distribution that the test module belongs to, installed or looking so, here and in processes of its own."""
    folder = EXAMPLES / request.path.relative_to(EXAMPLES).parts[0]
    if not (folder / "pyproject.toml").is_file():
        yield
        return
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if any(found.name == project["name"] for found in metadata.distributions()):
        yield
        return
    site = _metadata(tmp_path_factory.mktemp("site"), project)
    before = os.environ.get("PYTHONPATH", "")
    sys.path.insert(0, str(site))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(site), str(folder), before)))
    _forget_loaded_plugins()
    yield
    sys.path.remove(str(site))
    os.environ["PYTHONPATH"] = before
    _forget_loaded_plugins()


def _metadata(site: Path, project: dict[str, Any]) -> Path:
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["rmtl_bench"]
    lines = ["[rmtl_bench]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return site


def _forget_loaded_plugins() -> None:
    # The contract classes load the plugins once for all; before and after, there are others.
    from rmtl_bench.testing.contract_classes import loaded

    loaded.cache_clear()
