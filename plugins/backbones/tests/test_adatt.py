"""AdaTT against the equations of the paper, written out with loops over rows, modules and experts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rmtl_bench.contracts import UsageError


def array(parameter):
    return parameter.detach().numpy()


def experts_of(mlp, module, count, x):
    """The outputs of the experts of a module, which lie side by side in one layer."""
    outputs = np.maximum(x @ array(mlp.weights[0])[module] + array(mlp.biases[0])[module, 0], 0)
    return np.split(outputs, count)


def fuse(fusion, module, features, everyone, own):
    gate, native = array(fusion.gates.weight)[module], array(fusion.native)[module]
    assert len(native) == len(own)
    scores = [math.exp(sum(features[i] * gate[i, e] for i in range(len(features)))) for e in range(len(everyone))]
    fused = sum(score / sum(scores) * output for score, output in zip(scores, everyone, strict=True))
    return fused + sum(v * output for v, output in zip(native, own, strict=True))


def by_hand(model, tasks, task_experts, shared_experts, x):
    """The logits of one row."""
    f, s = [x] * tasks, x
    for left, level in zip(reversed(range(len(model.levels))), model.levels, strict=True):
        own = [experts_of(level.task_experts, k, task_experts, f[k]) for k in range(tasks)]
        everyone = [output for outputs in own for output in outputs]
        common = []
        if shared_experts:
            common = experts_of(level.shared_experts, 0, shared_experts, s)
            everyone = everyone + common
        f = [fuse(level.task_fusion, k, f[k], everyone, own[k]) for k in range(tasks)]
        if common and left:
            s = fuse(level.shared_fusion, 0, s, everyone, common)
    weight, bias = array(model.towers.weights[0]), array(model.towers.biases[0])
    return [(f[k] @ weight[k] + bias[k, 0])[0] for k in range(tasks)]


CASES = [
    (2, (3, 2), 1, 1),
    (3, (3, 2), 2, 2),
    (2, (3, 2, 4), 2, 1),
    (2, (3, 2, 4), 1, 2),
    (3, (3, 4), 2, 0),
    (1, (3, 2), 1, 2),
    (3, (5,), 2, 2),
    (1, (5,), 1, 0),
]


@pytest.mark.parametrize(("tasks", "bottom", "task_experts", "shared_experts"), CASES)
def test_it_is_the_papers_equations(tasks, bottom, task_experts, shared_experts, make_schema, make_batch, make_model):
    schema = make_schema(tasks, sizes=(4, 3))
    counts = {"task_experts": task_experts, "shared_experts": shared_experts}
    model = make_model("adatt", schema, bottom=bottom, tower=(), **counts).eval().double()
    with torch.no_grad():
        for parameter in model.levels.parameters():
            parameter.normal_(std=0.5)
    batch = make_batch(schema)
    expected = [by_hand(model, tasks, task_experts, shared_experts, x) for x in array(model.embedding(batch))]
    np.testing.assert_allclose(array(model(batch)), expected, rtol=1e-9, atol=1e-12)


def test_two_levels_of_width_one_by_hand(make_schema, make_batch, make_model):
    # One field that is x = 1 for its only id; every expert is relu(w x), every gate even (zero weights).
    schema = make_schema(2, sizes=(1,))
    counts = {"task_experts": 1, "shared_experts": 1}
    model = make_model("adatt", schema, embedding_dim=1, bottom=(1, 1), tower=(), **counts).eval()
    one, two = model.levels
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.embedding.table.fill_(1.0)
        one.task_experts.weights[0].copy_(torch.tensor([2.0, 4.0]).reshape(2, 1, 1))
        one.shared_experts.weights[0].fill_(6.0)
        two.task_experts.weights[0].copy_(torch.tensor([1.0, 3.0]).reshape(2, 1, 1))
        two.shared_experts.weights[0].fill_(1.5)
        model.towers.weights[0].copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1))
    # Level 1: (2+4+6)/3 = 4, and 4+2, 4+4, shared 4+6. Level 2: experts 1*6, 3*8, 1.5*10: mean 15, and 15+6, 15+24.
    torch.testing.assert_close(model(make_batch(schema, 1)), torch.tensor([[21.0, -39.0]]))


@pytest.mark.parametrize(("bottom", "fusions"), [((6,), [0]), ((6, 5), [1, 0]), ((6, 5, 4), [1, 1, 0])])
def test_every_level_has_shared_experts_and_all_but_the_last_fuse_them(bottom, fusions, make_schema, make_model):
    model = make_model("adatt", make_schema(), bottom=bottom)
    assert all(level.shared_experts is not None for level in model.levels)
    assert [level.shared_fusion is not None for level in model.levels] == fusions
    alone = make_model("adatt", make_schema(), bottom=bottom, shared_experts=0)
    assert all(level.shared_experts is None and level.shared_fusion is None for level in alone.levels)


@pytest.mark.parametrize("shared_experts", [0, 2])
def test_all_but_the_last_fusion_is_shared(shared_experts, make_schema, make_batch, make_model):
    schema = make_schema(3)
    model = make_model("adatt", schema, alive=True, dropout=0.0, bottom=(6, 5, 4), shared_experts=shared_experts)
    batch = make_batch(schema, 64)
    shared = {id(p) for p in model.shared_parameters()}
    losses = F.binary_cross_entropy_with_logits(model(batch), batch.labels, reduction="none").mean(0)
    parameters = list(model.levels.parameters())
    by_task = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in losses]
    for position, parameter in enumerate(parameters):
        everywhere = all(gradients[position].flatten(1).any(1).all() for gradients in by_task)
        assert everywhere == (id(parameter) in shared)


def test_native_weights_start_uniform_around_zero(make_schema, make_model):
    native = make_model("adatt", make_schema(3), task_experts=400).levels[0].task_fusion.native
    assert native.requires_grad
    assert native.shape == (3, 400)
    # Uniform within 1/20: of 1200 values some are near either end.
    assert native.abs().max() <= 0.05
    assert native.min() < -0.045
    assert native.max() > 0.045


@pytest.mark.parametrize(
    ("task_experts", "shared_experts", "learned"), [(1, 0, False), (1, 1, False), (1, 2, True), (2, 0, True)]
)
def test_native_weights_are_one_where_no_module_has_several_experts(
    task_experts, shared_experts, learned, make_schema, make_model
):
    model = make_model("adatt", make_schema(3), task_experts=task_experts, shared_experts=shared_experts)
    names = [name for name, _ in model.named_parameters()]
    assert any(name.endswith("native") for name in names) == learned
    if not learned:
        assert torch.equal(model.levels[0].task_fusion.native, torch.ones(3, 1))


def test_the_representation_is_the_experts_of_the_last_level(make_schema, make_batch, make_model):
    schema = make_schema(3)
    counts = {"task_experts": 2, "shared_experts": 3}
    model, batch = make_model("adatt", schema, alive=True, **counts).eval(), make_batch(schema)
    logits, representation = model.represent(batch)
    assert representation.shape == (11, 9, 5)
    for logit in logits.sum(0):
        (gradient,) = torch.autograd.grad(logit, representation, retain_graph=True)
        assert gradient.any(2).any(0).all()


def test_networks_without_layers_are_refused(make_schema, make_model):
    with pytest.raises(UsageError, match="'adatt': parameter 'bottom' is empty"):
        make_model("adatt", make_schema(), bottom=())
