from __future__ import annotations

import pytest
import torch

from my_lab.film import FiLM
from rmtl_bench.contracts import Batch, CategoricalField, Schema, Task


def schema_of(tasks: int) -> Schema:
    return Schema((CategoricalField("item", 5),), ("price",), tuple(Task(f"task-{k}") for k in range(tasks)))


def batch_of(tasks: int, rows: int = 6) -> Batch:
    draw = torch.Generator().manual_seed(3)
    ids = torch.randint(0, 5, (rows, 1), generator=draw, dtype=torch.int32)
    numbers = torch.randn(rows, 1, generator=draw)
    places = torch.arange(rows)
    return Batch(ids, numbers, torch.zeros(rows, tasks), None, places.int(), places.int(), places)


def small(tasks: int) -> FiLM:
    torch.manual_seed(0)
    return FiLM(schema_of(tasks), embedding_dim=4, bottom=(8,), tower=(4,), dropout=0.0).eval()


@pytest.mark.parametrize("tasks", [1, 2, 5])
def test_logits_follow_the_formula_task_by_task(tasks):
    model, batch = small(tasks), batch_of(tasks)
    hidden = torch.relu(model.embedding(batch) @ model.bottom.weights[0][0] + model.bottom.biases[0][0])
    for task in range(tasks):
        bent = (1 + model.scales[task]) * hidden + model.shifts[task]
        inner = torch.relu(bent @ model.tower.weights[0][0] + model.tower.biases[0][0])
        expected = (inner @ model.tower.weights[1][0] + model.tower.biases[1][0]).squeeze(1)
        torch.testing.assert_close(model(batch)[:, task], expected)


def test_a_task_bends_nobody_elses_logits():
    model, batch = small(3), batch_of(3)
    model(batch)[:, 1].sum().backward()
    assert model.scales.grad[1].abs().sum() > 0
    assert model.scales.grad[[0, 2]].abs().sum() == 0
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.shared_parameters())
