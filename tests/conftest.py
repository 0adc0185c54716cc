from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from rmtl_bench.statistics import SCORE_COLUMNS

TOY = Path(__file__).parent / "toy"
MakeScores = Callable[..., pd.DataFrame]
CommandLine = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def toy_plugin() -> Path:
    return TOY / "toy_plugin.py"


@pytest.fixture(scope="session")
def toy_suite() -> Path:
    return TOY / "toy.toml"


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def clean_environment(cache_dir: Path) -> dict[str, str]:
    """The environment without any of our switches, and with a cache of our own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RMTL_BENCH_")}
    return kept | {"RMTL_BENCH_CACHE": str(cache_dir), "RMTL_BENCH_DATA": str(cache_dir / "no-data")}


@pytest.fixture(scope="session")
def rmtl_bench(clean_environment: dict[str, str]) -> CommandLine:
    """The command line as a user runs it."""

    def run(*arguments: object, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "rmtl_bench.cli.main", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            env=clean_environment | dict(env or {}),
            check=False,
        )

    return run


@pytest.fixture
def fake_distribution(tmp_path: Path) -> Callable[..., Path]:
    """Make an installed-looking distribution with one entry point; put the returned folder on PYTHONPATH."""

    def make(name: str, code: str, version: str = "1.0", entry: str = "") -> Path:
        module = name.replace("-", "_")
        site = tmp_path / "site"
        info = site / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(code)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[rmtl_bench]\n{entry or name} = {module}\n")
        return site

    return make


@pytest.fixture(scope="session")
def make_scores() -> MakeScores:
    """Frame of scores from ``{method: values by seed}``, the same in every cell."""

    def make(
        values: Mapping[str, Sequence[float]],
        datasets: Sequence[str] = ("toy",),
        tasks: Sequence[str] = ("click",),
        metrics: Sequence[str] = ("auc",),
    ) -> pd.DataFrame:
        rows = [
            (dataset, *method.split("/", 1), method, task, metric, seed, value)
            for dataset in datasets
            for task in tasks
            for metric in metrics
            for method, row in values.items()
            for seed, value in enumerate(row)
        ]
        return pd.DataFrame(rows, columns=SCORE_COLUMNS)

    return make
