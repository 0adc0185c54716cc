from __future__ import annotations

import math

import numpy as np
import pytest
import torch


@pytest.mark.parametrize(("tasks", "experts"), [(1, 1), (2, 3), (4, 2)])
def test_it_is_an_explicit_loop_over_experts_and_tasks(
    tasks, experts, make_schema, make_batch, make_model, network_by_hand
):
    schema = make_schema(tasks)
    model, batch = make_model("omoe", schema, experts=experts).eval().double(), make_batch(schema)
    gate = model.gate.weight[0].detach().numpy()
    logits = model(batch).detach().numpy()
    for row, x in enumerate(model.embedding(batch).detach().numpy()):
        scores = [math.exp(sum(x[i] * gate[i, e] for i in range(len(x)))) for e in range(experts)]
        outputs = [network_by_hand(model.experts, e, x) for e in range(experts)]
        h = sum(score / sum(scores) * output for score, output in zip(scores, outputs, strict=True))
        expected = [network_by_hand(model.towers, task, h)[0] for task in range(tasks)]
        np.testing.assert_allclose(logits[row], expected, rtol=1e-9, atol=1e-12)


def test_it_is_mmoe_with_equal_gates(make_schema, make_batch, make_model):
    schema = make_schema(3)
    one, many = make_model("omoe", schema).eval(), make_model("mmoe", schema).eval()
    state = one.state_dict()
    state["gates.weight"] = state.pop("gate.weight").expand(3, -1, -1)
    many.load_state_dict(state)
    batch = make_batch(schema)
    torch.testing.assert_close(one(batch), many(batch))
