from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rmtl_bench.contracts.catalogue import BackboneInfo, DatasetInfo, Parameter, WeightingInfo
from rmtl_bench.contracts.cell import Cell
from rmtl_bench.execution.planning import stored_plan
from rmtl_bench.metrics.catalogue import rmtl_metrics
from rmtl_bench.plugins.registry import Origin, Registry
from rmtl_bench.store import PlannedCell, Store, StoredPlan, save_plan
from rmtl_bench.store.run_files import RunRecord, write_environment, write_run, write_table
from rmtl_bench.submissions import Attribution, build, publish
from rmtl_bench.submissions.form import as_text, read_submission
from rmtl_bench.suites import Suite, expand, read_variant

CLEAN = {"git": "a" * 40, "python": "3.11.7", "distributions": {"d": "1", "numpy": "2.4.6", "unrelated": "3"}}
FINGERPRINT = "0123456789abcdef"
SUITE = """
schema = 1
name = "tiny"
version = 1
title = "A suite"
seeds = 3
metrics = ["auc", "logloss"]
[datasets.sessions]
[backbones.ple]
parameters = { width = 8 }
[trainer]
max_epochs = 2
[weightings.equal]
[weightings.better]
[[grid]]
backbones = ["ple"]
weightings = ["equal", "better"]
[statistics]
reference = "*/equal"
headline = ["auc"]
equivalence = { auc = 0.001 }
[sample]
seeds = 2
"""


@dataclass(frozen=True)
class World:
    """A suite, the registry that ships it, and a store in which it can be published."""

    registry: Registry
    suite_file: Path
    store: Store
    output: Path

    def suite(self, sample: bool = False, name: str = "tiny") -> Suite:
        return read_variant(self.registry, name, sample=sample)

    def registry_without_optimum(self) -> Registry:
        return make_registry(self.suite_file, optimum=False)

    def plan(self, sample: bool = False, name: str = "tiny") -> StoredPlan:
        return stored_plan(expand(self.suite(sample, name), self.registry, lambda dataset: FINGERPRINT))

    def run(
        self,
        *,
        sample: bool = False,
        suite: str = "tiny",
        auc: float = 0.7,
        gap: float | None = 0.1,
        environment: Mapping[str, Any] | None = None,
        failed: Sequence[tuple[str, int]] = (),
        missing: Sequence[tuple[str, int]] = (),
        change: Callable[[Cell], Cell] = lambda cell: cell,
        undefined: Sequence[tuple[str, int]] = (),
    ) -> list[Cell]:
        """Publish the suite's runs: AUC ``auc`` of ``equal``, .05 more of ``better``, and a plan of them."""
        cells = [change(cell) for cell in expand(self.suite(sample, suite), self.registry, lambda d: FINGERPRINT).cells]
        for cell in cells:
            key = (cell.weighting.label, cell.seed)
            if key not in missing:
                value = float("nan") if key in undefined else auc + 0.05 * (key[0] == "better") + cell.seed / 1000
                status = "failed" if key in failed else "ok"
                self._publish(cell, value, gap, environment or CLEAN, status)
        labels = [PlannedCell(c.run_id, c.dataset.label, c.backbone.label, c.weighting.label, c.seed) for c in cells]
        self.keep(replace(self.plan(sample, suite), cells=tuple(labels)))
        return cells

    def keep(self, plan: StoredPlan) -> None:
        """Keep a plan in the store in place of the one that is there."""
        (self.store.suites / f"{plan.name}.json").unlink(missing_ok=True)
        save_plan(self.store, plan)

    def _publish(self, cell: Cell, auc: float, gap: float | None, environment: Mapping[str, Any], status: str) -> None:
        folder = self.store.staging_folder(cell.run_id)
        record = RunRecord(cell.run_id, cell, status, "2026-01-01T00:00:00.000+00:00", "2026-01-01T00:00:04.000+00:00")
        write_run(folder, record)
        write_environment(folder, environment)
        rows = [("click", "auc", auc, True), ("click", "logloss", 0.5, False)]
        rows += [] if gap is None else [("click", "auc-gap", gap, False), ("click", "logloss-gap", 0.1, False)]
        if status == "ok":
            names = ("task", "metric", "value", "higher_is_better")
            write_table(folder, "metrics", {name: [row[i] for row in rows] for i, name in enumerate(names)})
        self.store.publish(folder, cell.run_id)

    def submit(self, name: str = "first", *, suite: str = "tiny", sample: bool = False, **more: Any) -> Path:
        """Build a submission and publish it."""
        attribution = {key: more.pop(key) for key in ("by", "link", "tag") if key in more}
        options = {key: more.pop(key) for key in ("replace", "output") if key in more}
        made = build(self.store, suite, Attribution(name, **{"by": "A. Author", **attribution}), sample=sample, **more)
        return publish(made, self.registry, **{"output": self.output, **options})


@pytest.fixture
def world(tmp_path: Path) -> World:
    suite_file = tmp_path / "tiny.toml"
    suite_file.write_text(SUITE)
    return World(make_registry(suite_file), suite_file, Store.open(tmp_path / "store"), tmp_path / "leaderboards")


def make_registry(suite_file: Path, *, optimum: bool = True) -> Registry:
    registry, origin = Registry(), Origin("d", "1")
    width = {"width": Parameter(4, "of everything")}
    provides = frozenset({"optimum"}) if optimum else frozenset()
    for kind, info in (
        (
            "dataset",
            DatasetInfo(name="sessions", target="m:D", summary="sessions", provides=provides, parameters=width),
        ),
        ("backbone", BackboneInfo(name="ple", target="m:B", summary="a backbone", parameters=width)),
        *(
            ("weighting", WeightingInfo(name=name, target="m:W", summary=name, parameters=width))
            for name in ("equal", "better")
        ),
        *(("metric", info) for info in rmtl_metrics()),
    ):
        registry.add(kind, info, origin)
    registry.suites.append((suite_file, origin))
    return registry


@pytest.fixture(scope="session")
def falsify() -> Callable[..., Path]:
    """Change what the file of a submission says; the digest is made anew unless ``redigest`` is false."""

    def change(path: Path, edit: Callable[[dict[str, Any]], object], *, redigest: bool = True) -> Path:
        data = json.loads(path.read_text())
        edit(data)
        path.write_text(as_text(data))
        if redigest:
            data["digest"] = read_submission(path).computed_digest()
            path.write_text(as_text(data))
        return path

    return change


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("submitted")
    suite_file = folder / "tiny.toml"
    suite_file.write_text(SUITE)
    made = World(make_registry(suite_file), suite_file, Store.open(folder / "store"), folder / "leaderboards")
    made.run()
    made.run(sample=True)
    made.submit()
    made.submit(sample=True)
    return made


@pytest.fixture
def installed(_made: World) -> Registry:
    """The registry that ships the suite of ``submitted``."""
    return _made.registry


@pytest.fixture
def submitted(_made: World, tmp_path: Path) -> Path:
    """A true submission in a folder of its own, to be changed."""
    shutil.copytree(_made.output / "tiny@1", tmp_path / "boards" / "tiny@1")
    return tmp_path / "boards" / "tiny@1" / "first.json"


@pytest.fixture
def submitted_sample(_made: World, submitted: Path) -> Path:
    """A true submission of the suite's sample, beside ``submitted``."""
    shutil.copytree(_made.output / "tiny@1-sample", submitted.parents[1] / "tiny@1-sample")
    return submitted.parents[1] / "tiny@1-sample" / "first.json"
