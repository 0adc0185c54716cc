"""Schemas, batches and models for the tests of this distribution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import Backbone, Batch, CategoricalField, ParallelMLP, Schema, Task
from rmtl_bench_backbones.plugin import rmtl_backbones

SMALL: dict[str, Any] = {"embedding_dim": 4, "bottom": (6, 5), "tower": (3,), "dropout": 0.2}

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((info.name, {}) for info in rmtl_backbones()),
    *(
        (info.name, {"interaction": interaction})
        for info in rmtl_backbones()
        if "interaction" in info.parameters
        for interaction in ("dcn-v2", "deepfm")
    ),
    ("dselect-k", {"per_example": True}),
]
"""Every backbone as it is by default, under each interaction, and where parameters make it another model."""


@pytest.fixture(params=[info.name for info in rmtl_backbones()])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=VARIANTS, ids=lambda variant: "-".join([variant[0], *map(str, variant[1].values())]))
def variant(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    name, parameters = request.param
    return name, parameters


@pytest.fixture(scope="session")
def make_schema() -> Callable[..., Schema]:
    def make(
        tasks: int | Sequence[int | None] = 2, sizes: Sequence[int] = (7, 5, 3), numerical: Sequence[str] = ()
    ) -> Schema:
        """``tasks`` is a number of tasks, each the child of the one before, or the parent of each."""
        parents = [None, *range(tasks - 1)] if isinstance(tasks, int) else tasks
        return Schema(
            tuple(CategoricalField(f"f{i}", size) for i, size in enumerate(sizes)),
            tuple(numerical),
            tuple(Task(f"t{k}", None if p is None else f"t{p}") for k, p in enumerate(parents)),
        )

    return make


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., Batch]:
    def make(schema: Schema, rows: int = 11, seed: int = 0) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        columns = [torch.randint(f.size, (rows,), generator=generator, dtype=torch.int32) for f in schema.categorical]
        return Batch(
            categorical=torch.stack(columns, 1) if columns else torch.empty(rows, 0, dtype=torch.int32),
            numerical=torch.randn(rows, len(schema.numerical), generator=generator),
            labels=torch.randint(2, (rows, len(schema.tasks)), generator=generator).float(),
            label_mask=None,
            session=torch.zeros(rows, dtype=torch.int32),
            user=torch.zeros(rows, dtype=torch.int32),
            rows=torch.arange(rows),
        )

    return make


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Backbone]:
    def make(name: str, schema: Schema, seed: int = 0, *, alive: bool = False, **parameters: Any) -> Backbone:
        """``alive``: all parameters are positive, no ReLU dead and no gate saturated: every path has a gradient."""
        (info,) = [info for info in rmtl_backbones() if info.name == name]
        module, _, target = info.target.partition(":")
        torch.manual_seed(seed)
        model = getattr(import_module(module), target)(schema, **info.resolve({**SMALL, **parameters}))
        assert isinstance(model, Backbone)
        # Embeddings of the size of the weights, so that ReLUs are not all but linear in the tests.
        for parameter in model.embedding_parameters():
            torch.nn.init.normal_(parameter, std=0.1 if alive else 1.0)
        if alive:
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.abs_()
        return model

    return make


@pytest.fixture(scope="session")
def network_by_hand() -> Callable[[ParallelMLP, int, np.ndarray], np.ndarray]:
    def compute(networks: ParallelMLP, which: int, x: np.ndarray) -> np.ndarray:
        """The output [O] of one of the networks for one row x [I], unit by unit."""
        for layer, (weights, biases) in enumerate(zip(networks.weights, networks.biases, strict=True)):
            weight, bias = weights[which].detach().numpy(), biases[which, 0].detach().numpy()
            x = np.array([sum(x[i] * weight[i, o] for i in range(len(x))) + bias[o] for o in range(len(bias))])
            if layer < networks.activated:
                x = np.maximum(x, 0)
        return x

    return compute
