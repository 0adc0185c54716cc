from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def installed_looking() -> Callable[[Path], Path]:
    """Give a distribution's folder what an installation would: on PYTHONPATH, it is found with its entry point."""

    def install(folder: Path) -> Path:
        name, package = folder.name, folder.name.replace("-", "_")
        info = folder / f"{package}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[rmtl_bench]\n{name} = {package}.plugin\n")
        return folder

    return install
