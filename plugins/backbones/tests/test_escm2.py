from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench_backbones.escm2 import conditional_logit
from rmtl_bench_backbones.esmm import logit_of_product


def with_labels(batch, labels, mask=None):
    return replace(batch, labels=torch.tensor(labels).float(), label_mask=mask)


def nested(batch, parents):
    """The batch in float64, with no child's label above its parent's."""
    labels = batch.labels.double()
    for child, parent in enumerate(parents):
        if parent is not None:
            labels[:, child] *= labels[:, parent]
    return replace(batch, labels=labels)


def sigmoid(logit):
    return 1 / (1 + math.exp(-logit))


def test_the_conditional_logit_undoes_the_product():
    points = torch.linspace(-20, 20, 81, dtype=torch.float64)
    parent, conditional = (grid.flatten() for grid in torch.meshgrid(points, points[:70], indexing="ij"))
    joint = logit_of_product(parent, conditional)
    torch.testing.assert_close(conditional_logit(joint, parent), conditional, rtol=1e-6, atol=1e-6)


def test_in_single_precision_it_does_so_up_to_a_conditional_probability_of_nearly_one():
    points = torch.linspace(-8, 8, 65)
    parent, conditional = (grid.flatten() for grid in torch.meshgrid(points, points, indexing="ij"))
    joint = logit_of_product(parent, conditional)
    torch.testing.assert_close(conditional_logit(joint, parent), conditional, rtol=1e-2, atol=1e-2)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(*[st.floats(-1e6, 1e6, width=32) | st.floats(-30, 30, width=32)] * 2), min_size=1, max_size=8)
)
def test_the_conditional_logit_and_its_gradient_stay_finite_at_any_logits(values):
    own = torch.tensor(values, dtype=torch.float32, requires_grad=True)
    parent, conditional = own.unbind(1)
    logit = conditional_logit(logit_of_product(parent, conditional), parent)
    assert logit.isfinite().all()
    for label in (0.0, 1.0):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, torch.full_like(logit, label))
        (gradient,) = torch.autograd.grad(loss, own, retain_graph=True)
        assert gradient.isfinite().all()


@pytest.mark.parametrize(
    "parents", [[None, 0], [None, 0, 1], [None, 0, 0], [None, None, 1]], ids=["pair", "chain", "fork", "two roots"]
)
@pytest.mark.parametrize("masked", [False, True])
def test_the_penalty_is_the_papers_risk_row_by_row(parents, masked, make_schema, make_batch, make_model):
    schema = make_schema(parents)
    parameters = {"counterfactual_weight": 0.7, "propensity_floor": 0.4}
    model = make_model("escm2", schema, **parameters).eval().double()
    batch = nested(make_batch(schema, 30), parents)
    known = torch.rand(30, len(parents), generator=torch.Generator().manual_seed(1)) < 0.7
    batch = replace(batch, label_mask=known if masked else None)
    conditional = model.network(model.embedding(batch))[0].detach().numpy()
    joint = model(batch)
    expected = 0.0
    for child, parent in enumerate(parents):
        if parent is None:
            continue
        risks = []
        for row in range(30):
            if masked and not (known[row, child] and known[row, parent]):
                continue
            p = sigmoid(conditional[row, child])
            loss = -math.log(p if batch.labels[row, child] else 1 - p)
            risks.append(batch.labels[row, parent].item() / max(sigmoid(joint[row, parent].item()), 0.4) * loss)
        expected += 0.7 * float(np.mean(risks))
    assert expected > 0
    assert model.penalty(joint, batch).item() == pytest.approx(expected, rel=1e-9)


def test_rows_whose_parent_happened_stand_for_those_where_it_did_not(make_schema, make_batch, make_model):
    schema = make_schema(2)
    model, batch = make_model("escm2", schema, counterfactual_weight=1.0), make_batch(schema, 4)
    # The parent happens with probability 1/4, the child then with 2/3; in one row of four it did, and so did the child.
    logits = torch.tensor([[math.log(1 / 3), math.log(1 / 5)]]).expand(4, 2)
    batch = with_labels(batch, [[1, 1], [0, 0], [0, 0], [0, 0]])
    assert model.penalty(logits, batch).item() == pytest.approx(-math.log(2 / 3), rel=1e-5)
    # It is clear by now that a child which happens costs log 3/2; one which does not costs log 3.
    batch = with_labels(batch, [[1, 0], [0, 0], [0, 0], [0, 0]])
    assert model.penalty(logits, batch).item() == pytest.approx(math.log(3), rel=1e-5)


def test_the_penalty_moves_the_childs_network_and_not_the_propensity(make_schema, make_batch, make_model):
    schema = make_schema(2)
    model = make_model("escm2", schema).double()
    batch = nested(make_batch(schema, 30), [None, 0])
    (gradient,) = torch.autograd.grad(model.penalty(model(batch), batch), model.networks.weights[0])
    assert gradient[0].abs().max() < 1e-12 * gradient[1].abs().max()


def test_labels_that_are_unknown_say_nothing(make_schema, make_batch, make_model):
    schema = make_schema(2)
    model = make_model("escm2", schema).eval()
    batch = make_batch(schema, 3)
    labels = [[1, 1], [1, 0], [0, 0]]
    without_last = torch.tensor([[True, True], [True, True], [False, True]])
    masked = model.penalty(model(batch), with_labels(batch, labels, without_last))
    without = model.penalty(model(batch)[:2], with_labels(batch, labels[:2]))
    torch.testing.assert_close(masked, without)
    assert model.penalty(model(batch), with_labels(batch, labels, torch.zeros(3, 2, dtype=torch.bool))).item() == 0


def test_predictions_are_those_of_esmm(make_schema, make_batch, make_model):
    schema = make_schema(3)
    batch = make_batch(schema)
    assert torch.equal(make_model("escm2", schema).eval()(batch), make_model("esmm", schema).eval()(batch))


def test_without_a_funnel_there_is_no_penalty(make_schema, make_batch, make_model):
    schema = make_schema([None, None])
    model, batch = make_model("escm2", schema), make_batch(schema)
    assert model.penalty(model(batch), batch) is None
