from __future__ import annotations

import math

import numpy as np
import pytest
import torch


@pytest.mark.parametrize(("tasks", "task_experts", "shared_experts"), [(1, 1, 2), (2, 2, 1), (3, 1, 1), (3, 2, 3)])
def test_it_is_an_explicit_loop_over_tasks_and_experts(
    tasks, task_experts, shared_experts, make_schema, make_batch, make_model, network_by_hand
):
    schema = make_schema(tasks)
    counts = {"task_experts": task_experts, "shared_experts": shared_experts}
    model, batch = make_model("cgc", schema, **counts).eval().double(), make_batch(schema)
    gates = model.gates.weight.detach().numpy()
    logits = model(batch).detach().numpy()
    for row, x in enumerate(model.embedding(batch).detach().numpy()):
        common = [network_by_hand(model.shared_experts, e, x) for e in range(shared_experts)]
        for task in range(tasks):
            mine = range(task * task_experts, (task + 1) * task_experts)
            seen = [network_by_hand(model.task_experts, e, x) for e in mine] + common
            scores = [math.exp(sum(x[i] * gates[task, i, e] for i in range(len(x)))) for e in range(len(seen))]
            h = sum(score / sum(scores) * output for score, output in zip(scores, seen, strict=True))
            (expected,) = network_by_hand(model.towers, task, h)
            np.testing.assert_allclose(logits[row, task], expected, rtol=1e-9, atol=1e-12)


def test_with_experts_of_one_layer_it_is_ple_of_one_level(make_schema, make_batch, make_model):
    schema = make_schema(3)
    sizes = {"bottom": (6,), "task_experts": 2, "shared_experts": 3}
    cgc, ple = make_model("cgc", schema, **sizes).eval(), make_model("ple", schema, **sizes).eval()
    with torch.no_grad():
        ple.embedding.table.copy_(cgc.embedding.table)
        (level,) = ple.levels
        for theirs, ours, branches in (
            (level.task_experts, cgc.task_experts, 3),
            (level.shared_experts, cgc.shared_experts, 1),
        ):
            # There, the experts of a branch lie side by side in one layer.
            theirs.weights[0].copy_(ours.weights[0].unflatten(0, (branches, -1)).transpose(1, 2).flatten(2))
            theirs.biases[0].copy_(ours.biases[0].unflatten(0, (branches, -1)).transpose(1, 2).flatten(2))
        level.task_gates.weight.copy_(cgc.gates.weight)
    ple.towers.load_state_dict(cgc.towers.state_dict())
    batch = make_batch(schema)
    torch.testing.assert_close(cgc(batch), ple(batch))
    torch.testing.assert_close(cgc.represent(batch)[1], ple.represent(batch)[1].transpose(0, 1))


def test_a_tasks_experts_are_no_other_tasks_affair(make_schema, make_batch, make_model):
    schema = make_schema(2)
    model, batch = make_model("cgc", schema, task_experts=1).eval(), make_batch(schema)
    before = model(batch)
    with torch.no_grad():
        model.task_experts.weights[0][1].add_(1)
    after = model(batch)
    assert torch.equal(after[:, 0], before[:, 0])
    assert not torch.allclose(after[:, 1], before[:, 1])
