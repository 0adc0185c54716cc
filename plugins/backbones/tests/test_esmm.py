from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench_backbones.esmm import logit_of_product

logits = st.lists(
    st.tuples(*[st.floats(-1e6, 1e6, width=32) | st.floats(-30, 30, width=32)] * 3), min_size=1, max_size=8
)


@settings(deadline=None)
@given(logits)
def test_a_child_is_never_likelier_than_its_parent(values):
    a, b, c = torch.tensor(values, dtype=torch.float32).unbind(1)
    ab = logit_of_product(a, b)
    abc = logit_of_product(ab, c)
    assert (ab <= a).all()
    assert (ab <= b).all()
    assert (abc <= ab).all()
    assert (ab.sigmoid() <= a.sigmoid()).all()


@settings(deadline=None)
@given(logits)
def test_gradients_stay_finite_at_any_logit(values):
    own = torch.tensor(values, dtype=torch.float32, requires_grad=True)
    a, b, c = own.unbind(1)
    joint = logit_of_product(logit_of_product(a, b), c)
    for label in (0.0, 1.0):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(joint, torch.full_like(joint, label))
        (gradient,) = torch.autograd.grad(loss, own, retain_graph=True)
        assert gradient.isfinite().all()


@settings(deadline=None)
@given(st.floats(-30, 30), st.floats(-30, 30))
def test_the_logit_is_that_of_the_product(a, b):
    a, b = torch.tensor([a, b], dtype=torch.float64)
    product = a.sigmoid() * b.sigmoid()
    torch.testing.assert_close(logit_of_product(a, b).sigmoid(), product, rtol=1e-12, atol=0)


def test_a_certain_failure_still_teaches():
    a = torch.tensor([-200.0], requires_grad=True)
    joint = logit_of_product(a, torch.tensor([-200.0]))
    torch.nn.functional.binary_cross_entropy_with_logits(joint, torch.ones(1)).backward()
    torch.testing.assert_close(a.grad, torch.tensor([-1.0]))


@pytest.mark.parametrize(
    ("parents", "paths"),
    [
        ([None, 0, 1], [[0], [0, 1], [0, 1, 2]]),
        ([None, 0, 0], [[0], [0, 1], [0, 2]]),
        ([None, None, 1, 0, 2], [[0], [1], [1, 2], [0, 3], [1, 2, 4]]),
        ([None, None], [[0], [1]]),
    ],
    ids=["chain", "fork", "two roots", "no funnel"],
)
def test_probabilities_are_products_along_each_path(parents, paths, make_schema, make_batch, make_model):
    schema = make_schema(parents)
    model = make_model("esmm", schema).eval().double()
    batch = make_batch(schema)
    own = model.networks(model.embedding(batch)).squeeze(2).sigmoid()
    expected = torch.stack([own[path].prod(0) for path in paths], 1)
    torch.testing.assert_close(model(batch).sigmoid(), expected, rtol=1e-12, atol=0)


def test_a_childs_loss_moves_its_parents_network_and_not_the_reverse(make_schema, make_batch, make_model):
    schema = make_schema(2)
    model = make_model("esmm", schema)
    weight = model.networks.weights[0]
    parent, child = model(make_batch(schema)).sum(0)
    (by_parent,) = torch.autograd.grad(parent, weight, retain_graph=True)
    (by_child,) = torch.autograd.grad(child, weight)
    assert by_child[0].any()
    assert by_child[1].any()
    assert not by_parent[1].any()


@pytest.mark.parametrize("interaction", ["mlp", "dcn-v2", "deepfm"])
def test_ctcvr_never_exceeds_ctr_whatever_the_weights(interaction, make_schema, make_batch, make_model):
    schema = make_schema(3)
    for seed, scale in enumerate((1.0, 10.0, 1000.0)):
        model = make_model("esmm", schema, seed, interaction=interaction)
        with torch.no_grad():
            model.networks.weights[-1].mul_(scale)
        ctr, ctcvr, grandchild = model(make_batch(schema, 200)).sigmoid().unbind(1)
        assert (ctcvr <= ctr).all()
        assert (grandchild <= ctcvr).all()
        assert (ctcvr < ctr).any()
