"""STEM-Net against the equations of the paper, written out with loops over rows, tasks and experts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rmtl_bench.contracts import UsageError
from rmtl_bench_backbones.stem import mix_all_forward_own_backward


def array(tensor):
    return tensor.detach().numpy()


def perceptron(mlp, index, x):
    for layer, (weight, bias) in enumerate(zip(mlp.weights, mlp.biases, strict=True)):
        x = x @ array(weight)[index] + array(bias)[index, 0]
        if layer < mlp.activated:
            x = np.maximum(x, 0)
    return x


def by_hand(model, tasks, shared_experts, dim, vectors):
    """The logits of one row; ``vectors`` [F, K + 1, dim]: of each field, those of the tasks, then the shared one."""
    x = [np.concatenate([field[k] for field in vectors]) for k in range(tasks + 1)]
    outputs = [perceptron(experts, k, x[k]) for k in range(tasks) for experts in model.task_experts]
    outputs += [perceptron(model.shared_experts, e, x[tasks]) for e in range(shared_experts)]
    logits = []
    for k in range(tasks):
        gate, seen = array(model.gates.weight)[k], x[k] + x[tasks]
        scores = [math.exp(sum(seen[i] * gate[i, e] for i in range(len(seen)))) for e in range(len(outputs))]
        h = sum(score / sum(scores) * output for score, output in zip(scores, outputs, strict=True))
        logits.append(perceptron(model.towers, k, h)[0])
    return logits


@pytest.mark.parametrize(("tasks", "task_experts", "shared_experts"), [(1, 1, 1), (1, 2, 1), (2, 1, 2), (3, 2, 2)])
def test_it_is_the_papers_equations(tasks, task_experts, shared_experts, make_schema, make_batch, make_model):
    schema = make_schema(tasks)
    counts = {"task_experts": task_experts, "shared_experts": shared_experts}
    model = make_model("stem", schema, **counts).eval().double()
    batch = make_batch(schema)
    table = array(model.embedding.table).reshape(-1, tasks + 1, 4)
    starts = np.array([0, 7, 12])
    rows = [table[starts + ids] for ids in array(batch.categorical)]
    expected = [by_hand(model, tasks, shared_experts, 4, vectors) for vectors in rows]
    np.testing.assert_allclose(array(model(batch)), expected, rtol=1e-9, atol=1e-12)


def gradients_by_task(model, batch):
    losses = F.binary_cross_entropy_with_logits(model(batch), batch.labels, reduction="none").mean(0)
    names, parameters = zip(*model.named_parameters(), strict=True)
    for loss in losses:
        yield dict(zip(names, torch.autograd.grad(loss, parameters, retain_graph=True), strict=True))


def test_a_task_teaches_its_own_and_the_shared_embeddings_and_experts_and_no_others(
    make_schema, make_batch, make_model
):
    schema = make_schema(3, numerical=("price",))
    model, batch = make_model("stem", schema, alive=True, dropout=0.0), make_batch(schema, 64)
    for task, gradients in enumerate(gradients_by_task(model, batch)):
        own = [other == task for other in range(3)]
        for name, gradient in gradients.items():
            if name.startswith("embedding"):
                by_table = gradient.unflatten(1 if name == "embedding.table" else 0, (4, 4))
                by_table = by_table.movedim(1 if name == "embedding.table" else 0, 0)
                assert [bool(part.any()) for part in by_table] == [*own, True], name
            elif name.startswith("shared_experts"):
                assert gradient.flatten(1).any(1).all(), name
            else:
                assert [bool(part.any()) for part in gradient] == own, name


def test_a_task_looks_at_the_experts_of_all(make_schema, make_batch, make_model):
    schema = make_schema(3)
    model, batch = make_model("stem", schema).eval(), make_batch(schema)
    before = model(batch)
    with torch.no_grad():
        model.embedding.table.unflatten(1, (4, 4))[:, 0].add_(1.0)
    assert ((model(batch) - before).abs().sum(0) > 1e-4).all()


def test_the_mixture_and_its_gradients_by_hand():
    # Two tasks, one row, one expert each of width one, worth 3 and 5.
    gates = torch.tensor([[0.2, 0.4], [0.1, 0.6]]).reshape(2, 1, 2, 1).requires_grad_()
    experts = torch.tensor([3.0, 5.0]).reshape(2, 1, 1, 1).requires_grad_()
    mixed = mix_all_forward_own_backward(gates, experts)
    torch.testing.assert_close(mixed.flatten(), torch.tensor([0.2 * 3 + 0.4 * 5, 0.1 * 3 + 0.6 * 5]))
    first, second = mixed.flatten()
    to_gates, to_experts = torch.autograd.grad(first, (gates, experts), retain_graph=True)
    torch.testing.assert_close(to_gates.flatten(), torch.tensor([3.0, 5.0, 0.0, 0.0]))
    torch.testing.assert_close(to_experts.flatten(), torch.tensor([0.2, 0.0]))
    (to_experts,) = torch.autograd.grad(second, experts)
    torch.testing.assert_close(to_experts.flatten(), torch.tensor([0.0, 0.6]))


def test_each_task_has_a_table_beside_the_shared_one(make_schema, make_model):
    for tasks in (1, 3):
        assert make_model("stem", make_schema(tasks)).embedding.table.shape == (15, (tasks + 1) * 4)


def test_the_representation_is_what_the_shared_experts_return(make_schema, make_batch, make_model):
    schema = make_schema(2)
    model, batch = make_model("stem", schema, shared_experts=3).eval(), make_batch(schema)
    logits, representation = model.represent(batch)
    assert torch.equal(logits, model(batch))
    assert representation.shape == (3, 11, 5)


def test_networks_without_layers_are_refused(make_schema, make_model):
    with pytest.raises(UsageError, match="'stem': parameter 'bottom' is empty"):
        make_model("stem", make_schema(), bottom=())
