from __future__ import annotations

import pytest
import torch


@pytest.mark.parametrize(("tasks", "experts"), [(1, 1), (2, 3), (4, 2)])
def test_it_is_an_explicit_loop_over_tasks_and_experts(tasks, experts, make_schema, make_batch, make_model):
    schema = make_schema(tasks)
    model = make_model("mmoe", schema, experts=experts).eval().double()
    batch = make_batch(schema)
    logits = model(batch)
    for row, x in enumerate(model.embedding(batch)):
        for task in range(tasks):
            outputs = []
            for expert in range(experts):
                h = x
                for weight, bias in zip(model.experts.weights, model.experts.biases, strict=True):
                    h = torch.relu(h @ weight[expert] + bias[expert, 0])
                outputs.append(h)
            scores = [sum(x[i] * model.gates.weight[task, i, e] for i in range(len(x))).exp() for e in range(experts)]
            h = sum(score / sum(scores) * output for score, output in zip(scores, outputs, strict=True))
            *hidden, last = zip(model.towers.weights, model.towers.biases, strict=True)
            for weight, bias in hidden:
                h = torch.relu(h @ weight[task] + bias[task, 0])
            expected = (h @ last[0][task] + last[1][task, 0]).squeeze()
            torch.testing.assert_close(logits[row, task], expected)
