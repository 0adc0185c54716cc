from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rmtl_bench.contracts import Stage
from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.plugins import Registry, load_plugins
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.trainer import Trainer


@pytest.fixture(scope="session")
def registry() -> Registry:
    torch.set_num_threads(1)
    return load_plugins().registry


@pytest.fixture(scope="session")
def component(registry: Registry) -> Callable[..., Component]:
    """A plugin's offer with the given parameters."""

    def make(kind: str, name: str, **parameters: object) -> Component:
        info = registry.find(kind, name).info
        return Component(name, name, info.version, "benchmark", "0", info.resolve(parameters))

    return make


@pytest.fixture(scope="session")
def last_stage(registry: Registry, component: Callable[..., Component]) -> Callable[..., tuple[Stage, DeviceRows]]:
    """The last stage of a weighting on a backbone, ready to step, on 20,000 simulated rows."""
    dataset = component("dataset", "simulated", rows=20_000)
    table = registry.find("dataset", "simulated").load()(**dataset.parameters).build(Path(), Path())

    def make(backbone: str, weighting: str, device: str) -> tuple[Stage, DeviceRows]:
        trainer = vars(TrainerSettings.resolve({}))
        cell = Cell(dataset, "", component("backbone", backbone), component("weighting", weighting), trainer, (), 0)
        rows = [DeviceRows(table, split, torch.device(device)) for split in ("train", "valid")]
        model = registry.find("backbone", backbone).load()(table.schema, **cell.backbone.parameters).to(device)
        chosen = registry.find("weighting", weighting).load()(table.schema.tasks, **cell.weighting.parameters)
        built = Trainer(model, chosen.to(device), *rows, TrainerSettings.resolve({}), Streams(cell))
        return list(chosen.stages(built))[-1], rows[0]

    return make
