"""PLE against the equations of the paper, written out with loops over rows, tasks and experts."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch


def draw(rng, tasks, widths, task_experts, shared_experts):
    """Weights by name: an expert is (W, b), a gate is W, one dict a level; then one linear tower (w, b) a task."""
    levels = []
    for level, (width, out) in enumerate(pairwise(widths)):

        def expert(width=width, out=out):
            return rng.normal(size=(width, out)), rng.normal(size=out)

        weights = {"shared": [expert() for _ in range(shared_experts)]}
        for k in range(tasks):
            weights["task", k] = [expert() for _ in range(task_experts)]
            weights["gate", k] = rng.normal(size=(width, task_experts + shared_experts))
        if level < len(widths) - 2:
            weights["shared gate"] = rng.normal(size=(width, tasks * task_experts + shared_experts))
        levels.append(weights)
    return levels, [(rng.normal(size=widths[-1]), rng.normal()) for _ in range(tasks)]


def mix(gate, seen, outputs):
    scores = [math.exp(sum(seen[i] * gate[i, e] for i in range(len(seen)))) for e in range(len(outputs))]
    return sum(score / sum(scores) * output for score, output in zip(scores, outputs, strict=True))


def apply(experts, x):
    return [np.maximum(x @ weight + bias, 0) for weight, bias in experts]


def by_hand(x, levels, towers, *, faulty=False):
    """The logits of one row. ``faulty``: a branch's gate sees all experts evaluated on the branch's own features."""
    count = len(towers)
    t, s = [x] * count, x
    for weights in levels:
        own = [apply(weights["task", k], t[k]) for k in range(count)]
        common = apply(weights["shared"], s)
        new_t = []
        for k in range(count):
            seen = apply(weights["shared"], t[k]) if faulty else common
            new_t.append(mix(weights["gate", k], t[k], own[k] + seen))
        if "shared gate" in weights:
            if faulty:
                own = [apply(weights["task", k], s) for k in range(count)]
            s = mix(weights["shared gate"], s, [e for k in range(count) for e in own[k]] + common)
        t = new_t
    return [t[k] @ weight + bias for k, (weight, bias) in enumerate(towers)]


def fill(model, levels, towers):
    """Put the drawn weights into the model: the experts of a branch lie side by side in one layer."""

    def put(target, values):
        with torch.no_grad():
            assert target.numel() == np.size(values)
            target.copy_(torch.from_numpy(np.asarray(values)).reshape(target.shape))

    count = len(towers)
    for level, weights in zip(model.levels, levels, strict=True):
        put(level.shared_experts.weights[0], np.concatenate([w for w, _ in weights["shared"]], 1))
        put(level.shared_experts.biases[0], np.concatenate([b for _, b in weights["shared"]]))
        own = [weights["task", k] for k in range(count)]
        put(level.task_experts.weights[0], [np.concatenate([w for w, _ in experts], 1) for experts in own])
        put(level.task_experts.biases[0], [np.concatenate([b for _, b in experts]) for experts in own])
        put(level.task_gates.weight, [weights["gate", k] for k in range(count)])
        if "shared gate" in weights:
            put(level.shared_gate.weight, weights["shared gate"])
        else:
            assert level.shared_gate is None
    put(model.towers.weights[0], [w for w, _ in towers])
    put(model.towers.biases[0], [b for _, b in towers])


def build(make_schema, make_model, tasks, bottom, task_experts, shared_experts, seed=0):
    schema = make_schema(tasks, sizes=(4, 3))
    counts = {"task_experts": task_experts, "shared_experts": shared_experts}
    model = make_model("ple", schema, embedding_dim=2, bottom=bottom, tower=(), **counts).eval().double()
    drawn = draw(np.random.default_rng(seed), tasks, (4, *bottom), task_experts, shared_experts)
    fill(model, *drawn)
    return schema, model, drawn


CASES = [(2, (3, 2), 1, 1), (3, (3, 2), 2, 2), (2, (3, 2, 4), 2, 1), (1, (3, 2), 1, 2), (3, (5,), 1, 2)]


@pytest.mark.parametrize(("tasks", "bottom", "task_experts", "shared_experts"), CASES)
def test_it_is_the_papers_equations(tasks, bottom, task_experts, shared_experts, make_schema, make_batch, make_model):
    schema, model, drawn = build(make_schema, make_model, tasks, bottom, task_experts, shared_experts)
    batch = make_batch(schema)
    inputs = model.embedding(batch).detach().numpy()
    expected = np.array([by_hand(x, *drawn) for x in inputs])
    np.testing.assert_allclose(model(batch).detach().numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("tasks", "bottom", "differs"), [(2, (3,), False), (2, (3, 2), True), (3, (3, 2, 2), True)])
def test_experts_on_another_branchs_features_would_be_noticed_from_the_second_level_on(
    tasks, bottom, differs, make_schema, make_batch, make_model
):
    schema, model, drawn = build(make_schema, make_model, tasks, bottom, 1, 1, seed=3)
    batch = make_batch(schema)
    inputs = model.embedding(batch).detach().numpy()
    faulty = np.array([by_hand(x, *drawn, faulty=True) for x in inputs])
    assert (np.abs(faulty - model(batch).detach().numpy()).max() > 1e-2) == differs


def test_two_levels_of_width_one_by_hand(make_schema, make_batch, make_model):
    # One field that is x = 1 for its only id; every expert is relu(w x), every gate even (zero weights).
    schema = make_schema(2, sizes=(1,))
    model = make_model("ple", schema, embedding_dim=1, bottom=(1, 1), tower=(), task_experts=1, shared_experts=1).eval()
    one, two = model.levels
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.embedding.table.fill_(1.0)
        one.task_experts.weights[0].copy_(torch.tensor([2.0, 4.0]).reshape(2, 1, 1))
        one.shared_experts.weights[0].fill_(6.0)
        two.task_experts.weights[0].copy_(torch.tensor([1.0, 3.0]).reshape(2, 1, 1))
        two.shared_experts.weights[0].fill_(5.0)
        model.towers.weights[0].copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1))
    # Level 1: t = (2+6)/2, (4+6)/2 = 4, 5; s = (2+4+6)/3 = 4. Level 2: experts 1*4, 3*5, shared 5*4 = 20.
    # The fault would give shared 5*4 = 20 and 5*5 = 25 instead.
    expected = torch.tensor([[(4 + 20) / 2, -(15 + 20) / 2]])
    torch.testing.assert_close(model(make_batch(schema, 1)), expected)


def test_there_is_one_level_per_width(make_schema, make_model):
    model = make_model("ple", make_schema(), bottom=(6, 5, 4))
    assert [level.shared_gate is None for level in model.levels] == [False, False, True]
