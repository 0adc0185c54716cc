from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.statistics import SCORE_COLUMNS
from rmtl_bench.store import PlannedCell, Store, StoredPlan, save_plan
from rmtl_bench.store.run_files import RunRecord, write_environment, write_predictions, write_run, write_table

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


@pytest.fixture(scope="session")
def publish_cell() -> Callable[..., Cell]:
    """Publish a small run in a store and return its cell: ``plan_cells`` makes a suite of such cells.

    ``tables``: rows by the name of a table; without ``metrics``, one AUC a task that grows with the seed.
    """

    def publish(
        store: Store,
        weighting: str = "equal",
        seed: int = 0,
        status: str = "ok",
        error: str = "",
        *,
        backbone: str = "ple",
        seconds: float = 4.0,
        facts: Mapping[str, Any] | None = None,
        environment: Mapping[str, Any] | None = None,
        publish: bool = True,
        **tables: Sequence[tuple[Any, ...]],
    ) -> Cell:
        parts = (Component(name, name, 1, "d", "1", {"width": 4}) for name in ("sessions", backbone, weighting))
        dataset, network, weighted = parts
        cell = Cell(dataset, "0" * 16, network, weighted, {"max_epochs": 2}, ("auc", "logloss"), seed)
        if not publish:
            return cell
        folder = store.staging_folder(cell.run_id)
        times = ("2026-01-01T00:00:00.000+00:00", f"2026-01-01T00:00:{seconds:06.3f}+00:00")
        write_run(folder, RunRecord(cell.run_id, cell, status, *times, {"train": seconds}, error, facts or {}))
        write_environment(folder, environment or {})
        if status == "ok" and "metrics" not in tables:
            tables["metrics"] = [(task, "auc", 0.5 + seed / 7, True) for task in ("click", "pay")]
        for name, rows in tables.items():
            columns = {
                "metrics": ("task", "metric", "value", "higher_is_better"),
                "history": ("stage", "epoch", "task", "quantity", "value"),
                "weights": ("stage", "epoch", "task", "mean", "q05", "q25", "q50", "q75", "q95"),
                "diagnostics": ("task", "quantity", "value", "position"),
            }[name]
            write_table(folder, name, {column: [row[i] for row in rows] for i, column in enumerate(columns)})
        store.publish(folder, cell.run_id)
        return cell

    return publish


@pytest.fixture(scope="session")
def plan_cells() -> Callable[..., StoredPlan]:
    """Keep a plan of cells in a store; ``labels`` renames weightings."""

    def plan(
        store: Store, cells: Sequence[Cell], labels: Mapping[str, str] | None = None, suite: str = "tiny", **more: Any
    ) -> StoredPlan:
        names = labels or {}
        planned = tuple(
            PlannedCell(
                cell.run_id,
                cell.dataset.label,
                cell.backbone.label,
                names.get(cell.weighting.label, cell.weighting.label),
                cell.seed,
            )
            for cell in cells
        )
        made = StoredPlan(suite, 1, "d", planned, title="A suite", metrics=("auc", "logloss"), **more)
        save_plan(store, made)
        return made

    return plan


@pytest.fixture(scope="session")
def publish_suite(publish_cell: Callable[..., Cell]) -> Callable[..., StoredPlan]:
    """Publish a suite that a whole report can be made of: scores, epochs, weights and predictions of each run.

    ``gains``: AUC above the weighting ``equal``, by weighting. ``failed``: a traceback by (weighting, seed); runs in
    ``missing`` are planned and not there.
    """

    def publish(
        store: Store,
        gains: Mapping[str, float],
        seeds: int = 4,
        *,
        tasks: Sequence[str] = ("click", "pay"),
        dataset: str = "sessions",
        failed: Mapping[tuple[str, int], str] | None = None,
        missing: Sequence[tuple[str, int]] = (),
        predictions: bool = True,
        statistics: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> StoredPlan:
        planned = []
        for weighting, gain in gains.items():
            for seed in range(seeds):
                error = (failed or {}).get((weighting, seed))
                tables = {} if error is not None else _tables(tasks, gain, seed)
                options: dict[str, Any] = {"status": "ok" if error is None else "failed", "error": error or ""}
                published = (weighting, seed) not in missing
                environment = {"python": "3.11.7", "distributions": {"numpy": "2.4.6"}}
                facts = {"seconds_a_step": 0.01 * (1 + seed), "parameters": 1000}
                options |= {"publish": published, "environment": environment, "facts": facts}
                cell = publish_cell(store, weighting, seed, **options, **tables)
                if predictions and published and error is None:
                    write_predictions(store.runs_path / cell.run_id, _predictions(tasks, gain, seed))
                planned.append(PlannedCell(cell.run_id, dataset, cell.backbone.label, weighting, seed))
        declared = {"reference": "*/equal", "scope": "same-backbone", "delta_m": "", "headline": ["auc", "logloss"]}
        declared |= {"equivalence": {"auc": 0.001, "logloss": "0.1%"}, "comparisons": [], **(statistics or {})}
        plan = StoredPlan("tiny", 1, "d", tuple(planned), metrics=("auc", "logloss"), statistics=declared, **more)
        save_plan(store, plan)
        return plan

    return publish


def _tables(tasks: Sequence[str], gain: float, seed: int) -> dict[str, list[tuple[Any, ...]]]:
    auc = 0.7 + seed / 100 + gain * (1 + seed / 50)
    epochs = [(epoch, task) for epoch in (1, 2, 3) for task in tasks]
    spread = (0.8, 0.9, 1.0, 1.1, 1.2)
    return {
        "metrics": [(t, m, v, m == "auc") for t in tasks for m, v in (("auc", auc), ("logloss", 1 - auc))],
        "history": [("train", e, t, q, auc - 0.1 / e) for e, t in epochs for q in ("auc", "train-loss")],
        "weights": [("train", e, t, 1 + gain * e, *((1 + gain * e) * s for s in spread)) for e, t in epochs],
    }


def _predictions(tasks: Sequence[str], gain: float, seed: int) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"row": list(range(24)), "session": [row // 3 for row in range(24)]}
    for task in tasks:
        columns[f"label_{task}"] = [float(row % 3 == 0) for row in range(24)]
        columns[f"score_{task}"] = [0.1 + 0.1 * ((row + seed) % 8) + gain for row in range(24)]
    return columns
