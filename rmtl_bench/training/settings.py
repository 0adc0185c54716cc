"""The trainer's settings: what a suite may say about it. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rmtl_bench.contracts.catalogue import Parameter, resolve_parameters
from rmtl_bench.contracts.errors import UsageError

SHUFFLES = ("rows", "blocks")
"""What ``shuffle`` may be; :mod:`rmtl_bench.training.order` says what each means."""

PRECISIONS = ("float32", "tf32", "bf16")
"""What ``precision`` may be; :mod:`rmtl_bench.training.precision` says what each means."""

EVALUATION_ON_CUDA = 8
"""How many times ``evaluation_batch_size`` rows a forward pass of an evaluation takes on a CUDA device."""

TRAINER_PARAMETERS: Mapping[str, Parameter] = {
    "batch_size": Parameter(2048, "rows a training step", minimum=1),
    "evaluation_batch_size": Parameter(8192, "rows a forward pass of validation and test", minimum=1),
    "learning_rate": Parameter(1e-3, "Adam's step size", minimum=0),
    "weight_decay": Parameter(1e-6, "L2 penalty in Adam, on backbones and critics", minimum=0),
    "max_epochs": Parameter(20, "epochs of a stage that sets no limit of its own", minimum=1),
    "patience": Parameter(2, "epochs without a better validation score before a stage ends", minimum=1),
    "precision": Parameter("float32", "arithmetic of the backbone's matrix products", choices=PRECISIONS),
    "shuffle": Parameter("rows", "what an epoch permutes: all rows, or blocks of them", choices=SHUFFLES, added=True),
    "shuffle_block_rows": Parameter(4096, "consecutive rows of a block", minimum=1, added=True),
    "shuffle_window": Parameter(256, "blocks whose rows are permuted together", minimum=1, added=True),
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
    precision: str = "float32"
    shuffle: str = "rows"
    shuffle_block_rows: int = 4096
    shuffle_window: int = 256

    @classmethod
    def resolve(cls, given: Mapping[str, Any]) -> TrainerSettings:
        """Return the settings, defaults filled in. Raises ``UsageError`` for an unknown or impossible one."""
        settings = cls(**resolve_parameters("trainer", TRAINER_PARAMETERS, given))
        if settings.shuffle == "rows":
            for name in ("shuffle_block_rows", "shuffle_window"):
                if getattr(settings, name) != TRAINER_PARAMETERS[name].default:
                    value = getattr(settings, name)
                    raise UsageError(f'trainer: {name!r} is {value}; it takes shuffle = "blocks" beside it')
        return settings

    def identity(self) -> dict[str, Any]:
        """Return what decides numbers: all settings but the younger ones that have their defaults."""
        return resolve_parameters("trainer", TRAINER_PARAMETERS, vars(self))

    def evaluation_rows(self, device_type: str) -> int:
        """Return the rows of a forward pass of an evaluation: more of them on a GPU, which a few leave idle.

        The numbers are the same to rounding. With 8192 rows a batch they are 65 536: activations of 6144 units, as the
        experts of PLE have in one layer for two tasks, take 1.6 GB then.
        """
        return self.evaluation_batch_size * (EVALUATION_ON_CUDA if device_type == "cuda" else 1)
