"""AITM against the equations of the paper, written out with loops over rows and tasks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

FUNNELS = {
    "chain": [None, 0, 1],
    "fork": [None, 0, 0],
    "two roots": [None, None, 0, 1],
    "skipped": [None, None, 0],
    "no funnel": [None, None],
}


def arrays(parameters):
    return [p.detach().numpy() for p in parameters]


def perceptron(mlp, index, x):
    for layer, (weight, bias) in enumerate(zip(arrays(mlp.weights), arrays(mlp.biases), strict=True)):
        x = x @ weight[index] + bias[index, 0]
        if layer < mlp.activated:
            x = np.maximum(x, 0)
    return x


def linear(layer, x):
    assert layer.bias is None
    (weight,) = arrays([layer.weight])
    return [sum(w * value for w, value in zip(row, x, strict=True)) for row in weight]


def by_hand(model, parents, x):
    """The logits of one row."""
    z = []
    for task, parent in enumerate(parents):
        q = perceptron(model.bottoms, task, x)
        if parent is not None:
            transfer = model.transfer
            seen = [perceptron(transfer.information[str(task)], 0, z[parent]), q]
            scores = [
                math.exp(
                    sum(a * b for a, b in zip(linear(transfer.key, u), linear(transfer.query, u), strict=True))
                    / math.sqrt(len(q))
                )
                for u in seen
            ]
            values = [np.array(linear(transfer.value, u)) for u in seen]
            q = sum(score / sum(scores) * value for score, value in zip(scores, values, strict=True))
        z.append(q)
    return [perceptron(model.towers, task, h)[0] for task, h in enumerate(z)]


@pytest.mark.parametrize("parents", FUNNELS.values(), ids=FUNNELS)
@pytest.mark.parametrize("tower", [(), (3,)], ids=["linear tower", "tower"])
def test_it_is_the_papers_equations(parents, tower, make_schema, make_batch, make_model):
    schema = make_schema(parents)
    model = make_model("aitm", schema, tower=tower).eval().double()
    batch = make_batch(schema)
    expected = [by_hand(model, parents, x) for x in model.embedding(batch).detach().numpy()]
    np.testing.assert_allclose(model(batch).detach().numpy(), expected, rtol=1e-9, atol=1e-12)


def test_without_parents_it_is_one_network_a_task(make_schema, make_batch, make_model):
    schema = make_schema([None, None])
    model, batch = make_model("aitm", schema).eval(), make_batch(schema)
    assert model.transfer is None
    assert model.penalty(model(batch), batch) is None
    x = model.embedding(batch)
    torch.testing.assert_close(model(batch), model.towers(model.bottoms(x)).squeeze(2).T)


def test_information_flows_from_parent_to_child_alone(make_schema, make_batch, make_model):
    schema = make_schema(3)
    model = make_model("aitm", schema, alive=True)
    logits = model(make_batch(schema)).sum(0)
    for task, logit in enumerate(logits):
        (gradient,) = torch.autograd.grad(logit, model.bottoms.weights[0], retain_graph=True)
        assert [bool(part.any()) for part in gradient] == [other <= task for other in range(3)]


def test_the_attention_is_even_where_parent_and_child_know_the_same(make_schema, make_model):
    transfer = make_model("aitm", make_schema(2)).eval().transfer
    z = torch.rand(4, 5)
    own = transfer.information["1"](z).squeeze(0)
    torch.testing.assert_close(transfer(1, z, own), transfer.value(own))


def test_pairs_share_the_attention_and_have_information_networks_of_their_own(make_schema, make_model):
    names = {name.rpartition(".")[0] for name, _ in make_model("aitm", make_schema([None, 0, 0])).named_parameters()}
    transfer = {name for name in names if name.startswith("transfer")}
    networks = {f"transfer.information.{child}.{kind}" for child in (1, 2) for kind in ("weights", "biases")}
    assert transfer == networks | {"transfer.value", "transfer.key", "transfer.query"}


def test_a_transfer_of_width_one_by_hand(make_schema, make_model):
    transfer = make_model("aitm", make_schema(2), bottom=(1,)).eval().transfer
    with torch.no_grad():
        for parameter in transfer.parameters():
            parameter.zero_()
        transfer.information["1"].weights[0].fill_(2.0)
        transfer.information["1"].biases[0].fill_(1.0)
        transfer.value.weight.fill_(3.0)
        transfer.key.weight.fill_(1.0)
        transfer.query.weight.fill_(math.log(3))
    # p = 2 * -0.25 + 1 = 0.5, q = -0.5: equal scores of log(3)/4, values 1.5 and -1.5.
    torch.testing.assert_close(transfer(1, torch.tensor([[-0.25]]), torch.tensor([[-0.5]])), torch.tensor([[0.0]]))
    # p = 2 * 0 + 1 = 1, q = 0: scores log 3 and 0, weights 3/4 and 1/4; values 3 and 0.
    torch.testing.assert_close(transfer(1, torch.tensor([[0.0]]), torch.tensor([[0.0]])), torch.tensor([[2.25]]))


def test_the_penalty_is_the_mean_excess_of_children_over_their_parents(make_schema, make_batch, make_model):
    schema = make_schema([None, 0, 0, 2])
    model, batch = make_model("aitm", schema), make_batch(schema, 2)
    probabilities = torch.tensor([[0.2, 0.5, 0.1, 0.4], [0.6, 0.3, 0.7, 0.7]])
    # Row 1: 0.3, 0, 0.3; row 2: 0, 0.1, 0.
    torch.testing.assert_close(model.penalty(probabilities.logit(), batch), torch.tensor(0.6 * 0.7 / 2))
    half = make_model("aitm", schema, calibrator=0.3)
    torch.testing.assert_close(half.penalty(probabilities.logit(), batch), torch.tensor(0.3 * 0.7 / 2))
    assert make_model("aitm", schema, calibrator=0.0).penalty(probabilities.logit(), batch) is None


def test_the_penalty_pulls_an_unlikely_parent_up_and_its_child_down(make_schema, make_batch, make_model):
    schema = make_schema(2)
    model, batch = make_model("aitm", schema), make_batch(schema, 2)
    logits = torch.tensor([[-1.0, 1.0], [1.0, -1.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(model.penalty(logits, batch), logits)
    slope = 0.6 / 2 * math.exp(-1) / (1 + math.exp(-1)) ** 2
    torch.testing.assert_close(gradient, torch.tensor([[-slope, slope], [0.0, 0.0]]))
