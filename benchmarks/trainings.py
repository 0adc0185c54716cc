"""What the benchmarks train: a backbone under a weighting at the plugins' own default sizes, on simulated sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rmtl_bench.contracts import Backbone, Batch, SessionTable
from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.plugins import Registry
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.trainer import Trainer

BATCH = 2048
HELD_OUT = 1_000
"""Rows of the validation and of the test split where a benchmark asks for no others: they shall decide no time."""


def component(registry: Registry, kind: str, name: str, **parameters: object) -> Component:
    """Return a plugin's offer with the given parameters, the others by default."""
    info = registry.find(kind, name).info
    return Component(name, name, info.version, "benchmark", "0", info.resolve(parameters))


@dataclass(frozen=True)
class Data:
    """A data set on a device, as a training gets it."""

    dataset: Component
    table: SessionTable
    train: DeviceRows
    valid: DeviceRows
    test: DeviceRows

    @classmethod
    def simulated(
        cls, registry: Registry, rows: int, device: str = "cpu", *, held_out: int = HELD_OUT, **parameters: object
    ) -> Data:
        """Return simulated sessions: ``rows`` of them to train on, ``held_out`` to validate and as many to test."""
        total = rows + 2 * held_out
        split = [rows / total, held_out / total, held_out / total]
        dataset = component(registry, "dataset", "simulated", rows=total, split=split, **parameters)
        with TemporaryDirectory() as scratch:
            table = registry.find("dataset", "simulated").load()(**dataset.parameters).build(Path(), Path(scratch))
            splits = [DeviceRows(table, name, torch.device(device)) for name in ("train", "valid", "test")]
        return cls(dataset, table, *splits)


def make_trainer(
    registry: Registry,
    data: Data,
    backbone: str,
    weighting: str = "fixed",
    *,
    backbone_parameters: Mapping[str, object] | None = None,
    weighting_parameters: Mapping[str, object] | None = None,
    seed: int = 0,
    **settings: Any,
) -> Trainer:
    """Return a trainer of a new backbone under a weighting; ``settings`` are the trainer's."""
    resolved = TrainerSettings.resolve(settings)
    parts = (
        component(registry, "backbone", backbone, **(backbone_parameters or {})),
        component(registry, "weighting", weighting, **(weighting_parameters or {})),
    )
    cell = Cell(data.dataset, "", *parts, resolved.identity(), (), seed)
    model = registry.find("backbone", backbone).load()(data.table.schema, **parts[0].parameters)
    chosen = registry.find("weighting", weighting).load()(data.table.schema.tasks, **parts[1].parameters)
    device = data.train.labels.device
    return Trainer(model.to(device), chosen.to(device), data.train, data.valid, resolved, Streams(cell))


class BareLoop:
    """The shortest training loop of a backbone under equal weights: nothing is recorded, judged or kept.

    Batches are taken by index from tensors that are on the device already, only those that the model reads; the
    optimizer and its settings are the trainer's.
    """

    def __init__(self, backbone: Backbone, rows: DeviceRows, learning_rate: float = 1e-3, weight_decay: float = 1e-6):
        self.backbone = backbone
        self._rows = rows
        parameters = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.Adam(parameters, lr=learning_rate, weight_decay=weight_decay, fused=True)

    def step(self, rows: Tensor) -> None:
        """Make one step on the rows at these positions."""
        data, count = self._rows, len(rows)
        labels = data.labels[rows]
        # What no backbone reads, session and user, is of the right shape and not looked up.
        batch = Batch(
            data.categorical[rows], data.numerical[rows], labels, None, data.session[:count], data.user[:count], rows
        )
        losses = F.binary_cross_entropy_with_logits(self.backbone(batch), labels, reduction="none")
        losses.mean(0).sum().backward()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def epoch(self, batch_size: int) -> None:
        """Make a step on every batch of a shuffled epoch."""
        self.backbone.train()
        order = torch.randperm(len(self._rows)).to(self._rows.labels.device)
        for rows in order.split(batch_size):
            self.step(rows)
