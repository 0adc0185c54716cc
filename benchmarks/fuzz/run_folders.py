"""Run folders, and what else of a store comes with them: read, shown, and ingested into an index."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import torch
from hypothesis import strategies as st

from benchmarks.fuzz.values import damaged, damaged_bytes, to_json
from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.contracts.wording import printable
from rmtl_bench.execution.kept import read_kept, write_kept
from rmtl_bench.report.run_text import run_text
from rmtl_bench.report.run_view import read_run_view, run_json
from rmtl_bench.report.status_text import store_text
from rmtl_bench.report.suite_status import read_status
from rmtl_bench.store import PlannedCell, Store, StoredPlan, all_plans, save_plan, schema
from rmtl_bench.store.ingest import insert, read_batch, stamp
from rmtl_bench.store.layout import KEPT_FILE
from rmtl_bench.store.profiles import RunProfile, read_profile, write_profile
from rmtl_bench.store.progress import PROGRESS_FILE, Progress, runs_in_progress
from rmtl_bench.store.run_files import (
    TABLES,
    RunRecord,
    read_environment,
    read_table,
    write_environment,
    write_predictions,
    write_run,
    write_table,
)

PLAN, PROGRESS = "plan", "progress"
LINK, PIPE, FOLDER, GONE = "a link", "a pipe", "a folder", "gone"
_DOCUMENTS = ("run.json", "environment.json", "profile.json", PLAN, PROGRESS)
_BYTES = (*(f"{name}.parquet" for name in (*TABLES, "predictions")), KEPT_FILE)

# Tables that a stranger's program wrote: other columns, other types, texts without end, far too many rows.
_FOREIGN = (
    "SELECT 1 AS a",
    "SELECT 'click' AS task, 'auc' AS metric, 'high' AS value, true AS higher_is_better",
    "SELECT 'click' AS task, 'auc' AS metric, 'nan' AS value, 'yes' AS higher_is_better",
    "SELECT NULL AS task, 'auc' AS metric, 0.5 AS value, true AS higher_is_better",
    "SELECT 'click' AS task, 'auc' AS metric, NULL AS value, NULL AS higher_is_better",
    "SELECT ['click'] AS task, {'a': 1} AS metric, 0.5 AS value, true AS higher_is_better",
    "SELECT repeat('x', 5000000) AS task, 'auc' AS metric, 0.5 AS value, true AS higher_is_better",
    "SELECT 'click' AS task, chr(27) || '[31m' AS metric, 1e308 * 10 AS value, true AS higher_is_better",
    "SELECT 'click' AS task, 'auc' AS metric, 0.5::DOUBLE AS value, true AS higher_is_better FROM range(3000000)",
    "SELECT 'a' AS stage, 2147483647 AS epoch, 'click' AS task, 'loss' AS quantity, 0.5 AS value",
    "SELECT 'a' AS stage, 3000000000 AS epoch, 'click' AS task, 'loss' AS quantity, 0.5 AS value",
    "SELECT range AS row, 0 AS session, 0.5::FLOAT AS label_click, 0.5::FLOAT AS score_click FROM range(100)",
    "SELECT DATE '2026-01-01' AS row, 'x' AS session, 1::DECIMAL(9,2) AS label_click, NULL AS score_click",
    'SELECT 1 AS "a""b", 2 AS "\x1b[31m", 3 AS """"',
)


class Damage(NamedTuple):
    """What stands in the place of a file of the store: bytes, or one of the words above; and what else is looked at."""

    file: str
    content: bytes | str
    show: bool
    status: bool


class RunFolders:
    """A store of four runs in ``folder``, one of which is damaged case by case and mended again."""

    def __init__(self, folder: Path) -> None:
        self._store = Store.open(folder / "store")
        cells = [_cell(weighting, seed) for weighting in ("fixed", "rmtl") for seed in range(2)]
        runs = [_publish(self._store, cell) for cell in cells]
        self._run, self._cell = runs[0], cells[0]
        plan = save_plan(self._store, _plan(cells))
        staging = self._store.staging_folder(cells[1].run_id)
        progress = staging / PROGRESS_FILE
        progress.write_text(json.dumps(asdict(Progress(cells[1].run_id, cells[1].label, "toy", 1.0, 2.0, "train", 3))))
        self._paths = {name: self._run / name for name in (*_DOCUMENTS, *_BYTES)} | {PLAN: plan, PROGRESS: progress}
        self.contents = {name: path.read_bytes() for name, path in self._paths.items()}
        self._damaged = ""
        self._index = duckdb.connect()
        self._index.execute(schema.creation())

    def strategy(self) -> st.SearchStrategy[Damage]:
        """The files, damaged."""
        documents = {name: json.loads(self.contents[name]) for name in _DOCUMENTS}
        foreign = [_parquet(sql, self._run) for sql in _FOREIGN]

        @st.composite
        def one(draw: Callable[..., Any]) -> Damage:
            file = draw(st.sampled_from((*_DOCUMENTS, *_DOCUMENTS, *_BYTES)))
            looks = (draw(st.integers(0, 19)) == 7, draw(st.integers(0, 99)) == 57)
            # Ends of a range are drawn more often than the rest.
            way = draw(st.integers(-5, 30)) % 20
            if way == 0:
                return Damage(file, draw(st.sampled_from((LINK, PIPE, FOLDER, GONE))), *looks)
            if way == 1:
                return Damage(file, self.contents[draw(st.sampled_from(sorted(self.contents)))], *looks)
            if file in documents:
                content = to_json(draw(damaged(documents[file])))
                return Damage(file, content if way < 12 else draw(damaged_bytes(content)), *looks)
            content = self.contents[file]
            if way < 7 and file != KEPT_FILE:
                content = draw(st.sampled_from(foreign))
            return Damage(file, content if way == 2 else draw(damaged_bytes(content)), *looks)

        return one()

    def put(self, damage: Damage) -> None:
        """Damage the store, after what was damaged before is mended."""
        if self._damaged:
            _remove(self._paths[self._damaged])
            self._paths[self._damaged].write_bytes(self.contents[self._damaged])
        _put(self._paths[damage.file], damage.content)
        self._damaged = damage.file

    def read(self, damage: Damage) -> None:
        """Read the damaged folder and the store around it, and mend it."""
        self.put(damage)
        self._read(damage)

    def _read(self, damage: Damage) -> None:
        self._ingest()
        assert runs_in_progress(self._store)
        if damage.status:
            _check_text(store_text(read_status(self._store, time.time()), 80))
        if damage.show:
            view = read_run_view(self._store, self._cell.run_id)
            _check_text(run_text(view, 80))
            json.dumps(run_json(view), allow_nan=False, ensure_ascii=False).encode()
        all_plans(self._store)
        read_environment(self._run)
        read_profile(self._run)
        table = damage.file.removesuffix(".parquet")
        if table != damage.file:
            read_table(self._run, table)
        if damage.file == KEPT_FILE:
            read_kept(self._run / KEPT_FILE, self._cell.run_id)

    def _ingest(self) -> None:
        """Ingest the run into an index in memory, ask what a leaderboard asks, and forget it again."""
        folder = self._store.run_folder(self._run.name)
        batch = read_batch([(folder, stamp(self._store.runs_path, self._run.name))])
        assert batch.runs + len(batch.problems) == 1, batch
        assert all("\n" not in problem.reason for problem in batch.problems), batch
        self._index.execute("BEGIN")
        try:
            insert(self._index, batch)
            for query in (
                "SELECT * FROM v_latest",
                "SELECT * FROM v_scores",
                "SELECT unnest(json_extract_string(facts, '$.warnings[*]')) FROM v_latest",
                "SELECT TRY_CAST(json_extract_string(facts, '$.parameters') AS BIGINT) FROM v_latest",
                "SELECT json_extract_string(cell, '$.fingerprint') FROM v_latest",
                "SELECT json_valid(content) FROM environments",
            ):
                for row in self._index.execute(query).fetchall():
                    str(row).encode()
        finally:
            self._index.execute("ROLLBACK")

    def keep(self, damage: Damage, folder: Path) -> None:
        """Write a case where it can be looked at."""
        content = damage.content.encode() if isinstance(damage.content, str) else damage.content
        (folder / f"{damage.file}").write_bytes(content)


def _cell(weighting: str, seed: int) -> Cell:
    given = {"width": 4, "sizes": (8, 4)}
    dataset, backbone, weighted = (Component(name, name, 1, "toys", "1.0", given) for name in ("toy", "ple", weighting))
    return Cell(dataset, "f" * 16, backbone, weighted, {"max_epochs": 2}, ("auc", "logloss"), seed)


def _plan(cells: list[Cell]) -> StoredPlan:
    return StoredPlan(
        suite="toy",
        version=1,
        digest="d" * 16,
        cells=tuple(PlannedCell(c.run_id, c.dataset.label, c.backbone.label, c.weighting.label, c.seed) for c in cells),
        title="A toy",
        notes=("one note",),
        metrics=("auc", "logloss"),
        statistics={
            "reference": "*/fixed",
            "scope": "same-backbone",
            "delta_m": "ple/fixed",
            "headline": ["auc"],
            "equivalence": {"auc": 0.001, "logloss": "0.1%"},
            "comparisons": [{"name": "a", "candidates": ["*/rmtl"], "references": ["*/fixed"], "scope": "all"}],
        },
        skipped=({"label": "toy/ple/odd", "reason": "it cannot be"},),
    )


def _publish(store: Store, cell: Cell) -> Path:
    staging = store.staging_folder(cell.run_id)
    stage = {"name": "train", "epochs": 2, "best_epoch": 1, "best_score": 0.7, "steps": 9, "seconds": 1.5}
    facts = {
        "warnings": ["one warning"],
        "stages": [stage],
        "seconds_a_step": 0.01,
        "parameters": 1000,
        "rows": {"train": 60, "valid": 20, "test": 20},
    }
    times = ("2026-01-01T00:00:00.000+00:00", "2026-01-01T00:00:04.000+00:00")
    write_run(staging, RunRecord(cell.run_id, cell, "ok", *times, {"training": 2.0}, "", facts))
    write_environment(staging, {"python": "3.11", "cores": 2, "distributions": {"torch": "2.6", "numpy": "2.0"}})
    write_profile(staging, RunProfile({"forward": 1.0}, {"forward": 9}, traced={"train": 3}))
    metrics = [("click", "auc", 0.7 + cell.seed / 100, True), ("click", "logloss", 0.4, False)]
    _write(staging, "metrics", metrics)
    _write(staging, "history", [("train", epoch, "click", "loss", 0.5 / (1 + epoch)) for epoch in range(2)])
    _write(staging, "weights", [("train", epoch, "click", *[1.0] * 6) for epoch in range(2)])
    _write(staging, "diagnostics", [("click", "norm", 0.5, -1)])
    rows = {"row": [0, 1], "session": [0, 0], "label_click": [0.0, 1.0], "score_click": [0.1, 0.8]}
    write_predictions(staging, rows)
    write_kept(staging / KEPT_FILE, {"weights": torch.zeros(3, 2), "step": torch.tensor(4)})
    return store.publish(staging, cell.run_id)


def _write(folder: Path, table: str, rows: list[tuple[Any, ...]]) -> None:
    columns: Mapping[str, list[Any]] = {
        name: list(column) for name, column in zip(TABLES[table], zip(*rows, strict=True), strict=True)
    }
    write_table(folder, table, columns)


def _parquet(sql: str, folder: Path) -> bytes:
    path = folder / "foreign.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    content = path.read_bytes()
    path.unlink()
    return content


def _put(path: Path, content: bytes | str) -> None:
    _remove(path)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == LINK:
        path.symlink_to("/etc/passwd")
    elif content == PIPE:
        os.mkfifo(path)
    elif content == FOLDER:
        path.mkdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _check_text(text: str) -> None:
    """What a terminal is given holds nothing that it takes for a command."""
    text.encode()
    if printable(text) != text:
        raise AssertionError(f"not all of this is printable: {text!r}")
