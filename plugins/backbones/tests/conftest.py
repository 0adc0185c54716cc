"""Schemas, batches and models for the tests of this distribution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import pytest
import torch

from rmtl_bench.contracts import Backbone, Batch, CategoricalField, Schema, Task
from rmtl_bench_backbones.plugin import rmtl_backbones

SMALL: dict[str, Any] = {"embedding_dim": 4, "bottom": (6, 5), "tower": (3,), "dropout": 0.2}


@pytest.fixture(params=[info.name for info in rmtl_backbones()])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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
        """``alive``: every parameter is positive, so that no ReLU is dead and every path carries a gradient."""
        (info,) = [info for info in rmtl_backbones() if info.name == name]
        module, _, target = info.target.partition(":")
        torch.manual_seed(seed)
        model = getattr(import_module(module), target)(schema, **info.resolve({**SMALL, **parameters}))
        assert isinstance(model, Backbone)
        # Embeddings of the size of the weights, so that ReLUs are not all but linear in the tests.
        for parameter in model.embedding_parameters():
            torch.nn.init.normal_(parameter)
        if alive:
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.abs_()
        return model

    return make
