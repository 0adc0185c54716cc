"""HoME against its equations, written out with loops over rows, groups, tasks and experts."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rmtl_bench.contracts import UsageError
from rmtl_bench_backbones.home import Normalisation, groups_of

COUNTS = {"shared_experts": 2, "group_experts": 1, "task_experts": 2, "rank": 2}


def array(tensor):
    return tensor.detach().numpy()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def expert(experts, index, rows, training):
    """The outputs of one expert for all rows, [B, H]."""
    gate = experts.feature_gate
    low_rank = array(gate.down)[index] @ array(gate.up)[index]
    h = np.array([row * 2 * sigmoid(row @ low_rank) for row in rows])
    *hidden, last = experts.weights
    for weight, bias in zip(hidden, experts.biases, strict=True):
        h = h @ array(weight)[index] + array(bias)[index, 0]
        h = h * sigmoid(h)
    h, norm = h @ array(last)[index], experts.normalisation
    mean, variance = array(norm.mean)[index], array(norm.variance)[index]
    if training:
        mean = sum(h) / len(h)
        variance = sum((row - mean) ** 2 for row in h) / len(h)
    h = (h - mean) / np.sqrt(variance + 1e-5) * array(norm.scale)[index, 0] + array(norm.shift)[index, 0]
    return h * sigmoid(h)


def mix(gates, self_gates, index, seen, outputs, own):
    """Gate over all ``outputs``, and self-gate over the ``own`` among them; each [B, H]."""
    mixed = []
    for row, x in enumerate(seen):
        weights = softmax(x @ array(gates.weight)[index])
        scores = x @ array(self_gates.weight)[index]
        own_weights = softmax(scores) if len(own) > 1 else sigmoid(scores)
        assert (len(weights), len(own_weights)) == (len(outputs), len(own))
        total = sum(w * output[row] for w, output in zip(weights, outputs, strict=True))
        mixed.append(total + sum(w * output[row] for w, output in zip(own_weights, own, strict=True)))
    return np.array(mixed)


def by_hand(model, group_of, x, *, training):
    meta, level = model.meta_level, model.task_level
    groups, shared = range(max(group_of) + 1), range(len(meta.shared_experts.weights[0]))

    def of(part, index, rows):
        return [expert(experts, index, rows, training) for experts in part.experts]

    common = [expert(meta.shared_experts, e, x, training) for e in shared]
    own = [of(meta.group_experts, g, x) for g in groups]
    y = [mix(meta.group_gates, meta.group_self_gates, g, x, common + own[g], own[g]) for g in groups]
    everyone = common + [output for outputs in own for output in outputs]
    y_shared = mix(meta.shared_gate, meta.shared_self_gate, 0, x, everyone, common)

    common = [expert(level.shared_experts, e, y_shared, training) for e in shared]
    of_group = [of(level.group_experts, g, y[g]) for g in groups]
    logits = []
    for k, g in enumerate(group_of):
        seen = np.concatenate((y[g], y_shared), 1)
        own_experts = of(level.task_experts, k, y[g])
        h = mix(level.gates, level.self_gates, k, seen, common + of_group[g] + own_experts, own_experts)
        logits.append(h @ array(model.towers.weights[0])[k] + array(model.towers.biases[0])[k])
    return np.concatenate(logits, 1)


def randomise(model):
    """Give normalisations and their statistics values that differ."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, Normalisation):
                module.scale.uniform_(0.5, 2.0)
                module.shift.normal_()
                module.mean.normal_()
                module.variance.uniform_(0.5, 2.0)


CASES = [
    ([None, None, None, 0], (0, 1, 0, 1), (6, 5), COUNTS),
    ([None, 0, 1], (), (6, 5), {**COUNTS, "shared_experts": 1, "group_experts": 2, "task_experts": 1}),
    ([None, None, 0], (), (4,), COUNTS),
    ([None], (), (6, 5, 4), COUNTS),
]


@pytest.mark.parametrize(("parents", "groups", "bottom", "counts"), CASES)
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_it_is_the_papers_equations(parents, groups, bottom, counts, training, make_schema, make_batch, make_model):
    schema = make_schema(parents)
    model = make_model("home", schema, groups=groups, bottom=bottom, tower=(), dropout=0.0, **counts).double()
    randomise(model)
    batch = make_batch(schema, 5)
    expected = by_hand(model, groups_of(schema, groups), array(model.embedding(batch)), training=training)
    np.testing.assert_allclose(array(model.train(training)(batch)), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("parents", "groups", "expected"),
    [
        ([None, 0, 1], (), [0, 0, 0]),
        ([None, None, 0, 1, 2], (), [0, 1, 0, 1, 0]),
        ([None, None, None], (), [0, 1, 2]),
        ([None, 0, 1], (7, 3, 7), [0, 1, 0]),
    ],
)
def test_tasks_are_grouped_as_told_or_by_funnel(parents, groups, expected, make_schema):
    assert groups_of(make_schema(parents), groups) == expected


def test_groups_that_do_not_match_the_tasks_are_refused(make_schema, make_model):
    with pytest.raises(UsageError, match=r"'home': parameter 'groups' is \(0, 1\); it takes .* per task, 3 here"):
        make_model("home", make_schema(3), groups=(0, 1))


def task_gradients(model, batch):
    names, parameters = zip(*model.named_parameters(), strict=True)
    losses = F.binary_cross_entropy_with_logits(model(batch), batch.labels, reduction="none").mean(0)
    for loss in losses:
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
        yield dict(zip(names, gradients, strict=True))


def test_a_task_teaches_experts_and_gates_of_its_own_group_alone(make_schema, make_batch, make_model):
    schema = make_schema([None] * 4)
    group_of = (0, 1, 0, 1)
    model = make_model("home", schema, alive=True, dropout=0.0, groups=group_of)
    for task, gradients in enumerate(task_gradients(model, make_batch(schema, 64))):
        for name, gradient in gradients.items():
            moved = [bool(part.any()) for part in gradient]
            if name.startswith(("meta_level.group_gates", "meta_level.group_self", "task_level.group_experts")):
                assert moved == [group == group_of[task] for group in (0, 1)], name
            elif name.startswith(("task_level.task_experts", "task_level.gates", "task_level.self_gates", "towers")):
                assert moved == [other == task for other in range(4)], name
            elif not name.startswith("embedding"):
                assert all(moved), name


@pytest.mark.parametrize("groups", [(0, 1, 0, 1), (0, 0, 0, 0), (0, 1, 2, 3)], ids=["two", "one", "four"])
def test_shared_parameters_are_those_of_every_task(groups, make_schema, make_batch, make_model):
    schema = make_schema([None] * 4)
    model = make_model("home", schema, alive=True, dropout=0.0, groups=groups)
    by_task = list(task_gradients(model, make_batch(schema, 64)))
    shared = {id(p) for p in model.shared_parameters()}
    for name, parameter in model.named_parameters():
        if not name.startswith("embedding"):
            everywhere = all(gradients[name].flatten(1).any(1).all() for gradients in by_task)
            assert everywhere == (id(parameter) in shared), name


def test_running_statistics_follow_the_batches(make_schema, make_batch):
    norm = Normalisation(2, 1)
    x = torch.tensor([[1.0, 3.0], [0.0, 10.0]]).unsqueeze(2)
    norm(x)
    # Means 2 and 5, unbiased variances 2 and 50; a tenth of them is taken.
    torch.testing.assert_close(norm.mean, torch.tensor([[0.2], [0.5]]))
    torch.testing.assert_close(norm.variance, torch.tensor([[0.9 + 0.2], [0.9 + 5.0]]))


def test_a_training_batch_of_one_row_uses_the_running_statistics_and_leaves_them(make_schema, make_batch, make_model):
    schema = make_schema(3)
    model = make_model("home", schema, dropout=0.0)
    randomise(model)
    batch = make_batch(schema, 1)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    logits = model(batch)
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    torch.testing.assert_close(logits, model.eval()(batch))


def test_the_gradient_of_a_row_alone_is_not_changed_by_a_later_batch(make_schema, make_batch, make_model):
    schema = make_schema(2)
    model = make_model("home", schema, dropout=0.0)
    alone = model(make_batch(schema, 1)).sum()
    expected = torch.autograd.grad(alone, list(model.parameters()), retain_graph=True)
    model(make_batch(schema, 2, seed=1))
    for gradient, value in zip(torch.autograd.grad(alone, list(model.parameters())), expected, strict=True):
        torch.testing.assert_close(gradient, value)


def test_statistics_are_saved_and_loaded_with_the_model(make_schema, make_batch, make_model):
    schema = make_schema(3)
    trained, loaded = make_model("home", schema, 1), make_model("home", schema, 2).eval()
    for seed in range(3):
        trained(make_batch(schema, seed=seed))
    state = copy.deepcopy(trained.state_dict())
    assert sum(name.endswith((".mean", ".variance")) for name in state) == 2 * (3 + 5)
    loaded.load_state_dict(state)
    batch = make_batch(schema)
    assert torch.equal(trained.eval()(batch), loaded(batch))


def test_the_representation_is_what_the_last_shared_experts_return(make_schema, make_batch, make_model):
    schema = make_schema(2)
    model, batch = make_model("home", schema, shared_experts=3), make_batch(schema)
    _, representation = model.represent(batch)
    assert representation.shape == (3, 11, 5)


def test_networks_without_layers_are_refused(make_schema, make_model):
    with pytest.raises(UsageError, match="'home': parameter 'bottom' is empty"):
        make_model("home", make_schema(), bottom=())
