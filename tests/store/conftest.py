from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.store import Index, Store
from rmtl_bench.store.run_files import RunRecord, iso_time, write_environment, write_run, write_table

Stage = Callable[..., Path]
Python = Callable[..., "subprocess.Popen[str]"]


def _component(name: str) -> Component:
    return Component(name, name, 1, "toys", "1.0", {"width": 4})


@pytest.fixture(scope="session")
def make_cell() -> Callable[..., Cell]:
    def make(
        seed: int = 0,
        weighting: str = "fixed",
        backbone: str = "mmoe",
        dataset: str = "toy",
        fingerprint: str = "f" * 16,
    ) -> Cell:
        return Cell(
            dataset=_component(dataset),
            fingerprint=fingerprint,
            backbone=_component(backbone),
            weighting=_component(weighting),
            trainer={"batch_size": 8},
            metrics=("auc",),
            seed=seed,
        )

    return make


@pytest.fixture(scope="session")
def stage(make_cell: Callable[..., Cell]) -> Stage:
    """Write a run into a staging folder of a store, as a worker would, and return the folder."""

    def make(
        store: Store,
        seed: int = 0,
        status: str = "ok",
        values: Mapping[tuple[str, str], float] | None = None,
        environment: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
        **cell: Any,
    ) -> Path:
        made = make_cell(seed, **cell)
        folder = store.staging_folder(made.run_id)
        error = "" if status == "ok" else f"Traceback of a run that {status}"
        record = RunRecord(
            run_id=made.run_id,
            cell=made,
            status=status,
            started=iso_time(0),
            finished=iso_time(3),
            seconds={"training": 2.0, "evaluation": 0.5},
            error=error,
            facts={"rows": 12} if facts is None else facts,
        )
        write_run(folder, record)
        write_environment(folder, environment or {"python": "3"})
        rows = values or {("click", "auc"): 0.5 + seed / 100, ("click", "logloss"): 0.3}
        write_table(
            folder,
            "metrics",
            {
                "task": [task for task, _ in rows],
                "metric": [metric for _, metric in rows],
                "value": list(rows.values()),
                "higher_is_better": [metric == "auc" for _, metric in rows],
            },
        )
        return folder

    return make


@pytest.fixture(scope="session")
def publish(stage: Stage) -> Stage:
    """Stage a run and publish it; return its folder among the runs."""

    def make(store: Store, *arguments: Any, **more: Any) -> Path:
        folder = stage(store, *arguments, **more)
        return store.publish(folder, folder.name.partition("-")[0])

    return make


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def index(store: Store) -> Index:
    return Index(store, patience=20)


@pytest.fixture
def python() -> Iterator[Python]:
    """Run code in another process, with its arguments in ``sys.argv``; it ends with the test."""
    started = []

    def run(code: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
