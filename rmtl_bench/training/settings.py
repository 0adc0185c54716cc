"""The trainer's settings: what a suite may say about it. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rmtl_bench.contracts.catalogue import Parameter, resolve_parameters

TRAINER_PARAMETERS: Mapping[str, Parameter] = {
    "batch_size": Parameter(2048, "rows a training step", minimum=1),
    "evaluation_batch_size": Parameter(8192, "rows a forward pass of validation and test", minimum=1),
    "learning_rate": Parameter(1e-3, "Adam's step size", minimum=0),
    "weight_decay": Parameter(1e-6, "L2 penalty in Adam, on backbones and critics", minimum=0),
    "max_epochs": Parameter(20, "epochs of a stage that sets no limit of its own", minimum=1),
    "patience": Parameter(2, "epochs without a better validation score before a stage ends", minimum=1),
}


@dataclass(frozen=True)
class TrainerSettings:
    """Checked settings; see :data:`TRAINER_PARAMETERS` for what each means."""

    batch_size: int
    evaluation_batch_size: int
    learning_rate: float
    weight_decay: float
    max_epochs: int
    patience: int

    @classmethod
    def resolve(cls, given: Mapping[str, Any]) -> TrainerSettings:
        """Return the settings, defaults filled in. Raises ``UsageError`` for an unknown or impossible one."""
        return cls(**resolve_parameters("trainer", TRAINER_PARAMETERS, given))
