"""Tasks, losses and weightings for the tests of this distribution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import pytest
import torch

from rmtl_bench.contracts import Batch, LossWeighting, Task, TaskLosses, Weighted
from rmtl_bench_weightings.plugin import rmtl_weightings


@pytest.fixture(params=[info.name for info in rmtl_weightings()])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def make() -> Callable[..., LossWeighting]:
    def build(name: str, tasks: int = 2, seed: int = 0, **parameters: Any) -> LossWeighting:
        (info,) = [info for info in rmtl_weightings() if info.name == name]
        module, _, target = info.target.partition(":")
        named = [Task(f"t{k}") for k in range(tasks)]
        weighting = getattr(import_module(module), target)(named, **info.resolve(parameters))
        assert isinstance(weighting, LossWeighting)
        weighting.generator.manual_seed(seed)
        return weighting

    return build


@pytest.fixture(scope="session")
def combine() -> Callable[..., Weighted]:
    def call(weighting: LossWeighting, per_sample: torch.Tensor, mask: torch.Tensor | None = None) -> Weighted:
        rows = len(per_sample)
        ids = torch.zeros(rows, dtype=torch.int32)
        batch = Batch(ids[:, None], per_sample[:, :0], torch.zeros_like(per_sample), mask, ids, ids, torch.arange(rows))
        return weighting.combine(TaskLosses(per_sample, mask), torch.zeros_like(per_sample), batch)

    return call


@pytest.fixture(scope="session")
def losses_of() -> Callable[[Sequence[float]], torch.Tensor]:
    """Return per-sample losses [4, K] with the given means."""
    return lambda means: torch.tensor([means] * 4) * torch.tensor([[0.5], [1.5], [0.75], [1.25]])
