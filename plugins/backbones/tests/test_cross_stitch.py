"""Cross-stitch networks against their equations, written out with loops over rows, layers and tasks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import UsageError


def by_hand(model, tasks, x):
    """The logits of one row."""
    h = [x] * tasks
    for layer, stitch in zip(model.layers, model.stitches, strict=True):
        weight, bias = layer.weights[0].detach().numpy(), layer.biases[0].detach().numpy()
        matrix = stitch.matrix.detach().numpy()
        a = [np.maximum(h[k] @ weight[k] + bias[k, 0], 0) for k in range(tasks)]
        h = [sum(matrix[k, j] * a[j] for j in range(tasks)) for k in range(tasks)]
    (weight,), (bias,) = model.towers.weights, model.towers.biases
    return [(h[k] @ weight[k].detach().numpy() + bias[k, 0].detach().numpy())[0] for k in range(tasks)]


@pytest.mark.parametrize("tasks", [1, 2, 3])
@pytest.mark.parametrize("bottom", [(6,), (6, 5), (6, 5, 4)], ids=len)
def test_it_is_the_papers_equations(tasks, bottom, make_schema, make_batch, make_model):
    schema = make_schema(tasks)
    model = make_model("cross-stitch", schema, bottom=bottom, tower=()).eval().double()
    with torch.no_grad():
        for stitch in model.stitches:
            stitch.matrix.normal_()
    batch = make_batch(schema)
    expected = [by_hand(model, tasks, x) for x in model.embedding(batch).detach().numpy()]
    np.testing.assert_allclose(model(batch).detach().numpy(), expected, rtol=1e-9, atol=1e-12)


def test_two_networks_of_width_one_by_hand(make_schema, make_batch, make_model):
    # One field that is x = 1 for its only id; layer 1 makes 2 and 4, layer 2 multiplies by 10 and 1.
    schema = make_schema(2, sizes=(1,))
    model = make_model("cross-stitch", schema, embedding_dim=1, bottom=(1, 1), tower=()).eval()
    with torch.no_grad():
        for layer in (*model.layers, model.towers):
            layer.biases[0].zero_()
            layer.weights[0].fill_(1.0)
        model.embedding.table.fill_(1.0)
        model.layers[0].weights[0].copy_(torch.tensor([2.0, 4.0]).reshape(2, 1, 1))
        model.layers[1].weights[0].copy_(torch.tensor([10.0, 1.0]).reshape(2, 1, 1))
    # 0.9 * 2 + 0.1 * 4 = 2.2 and 3.8; then 22 and 3.8; then 0.9 * 22 + 0.1 * 3.8 and 0.1 * 22 + 0.9 * 3.8.
    torch.testing.assert_close(model(make_batch(schema, 1)), torch.tensor([[20.18, 5.62]]))


@pytest.mark.parametrize(
    ("tasks", "same", "matrix"),
    [
        (1, 0.9, [[1.0]]),
        (2, 0.9, [[0.9, 0.1], [0.1, 0.9]]),
        (3, 0.5, [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]]),
    ],
)
def test_stitches_start_with_the_same_on_the_diagonal_and_the_rest_evenly(tasks, same, matrix, make_schema, make_model):
    model = make_model("cross-stitch", make_schema(tasks), same=same)
    assert len(model.stitches) == 2
    for stitch in model.stitches:
        torch.testing.assert_close(stitch.matrix.detach(), torch.tensor(matrix))


def test_with_nothing_of_the_others_it_is_one_network_a_task(make_schema, make_batch, make_model):
    schema = make_schema(3)
    model = make_model("cross-stitch", schema, same=1.0, alive=True)
    logits = model(make_batch(schema)).sum(0)
    for task, logit in enumerate(logits):
        for layer in model.layers:
            (gradient,) = torch.autograd.grad(logit, layer.weights[0], retain_graph=True)
            assert [bool(part.any()) for part in gradient] == [other == task for other in range(3)]


def test_the_last_stitch_alone_is_not_shared(make_schema, make_model):
    model = make_model("cross-stitch", make_schema(2), bottom=(6, 5, 4))
    shared = {id(p) for p in model.shared_parameters()}
    assert [id(stitch.matrix) in shared for stitch in model.stitches] == [True, True, False]


def test_the_representation_is_what_the_last_stitch_mixes(make_schema, make_batch, make_model):
    schema = make_schema(2)
    model, batch = make_model("cross-stitch", schema).eval(), make_batch(schema)
    logits, representation = model.represent(batch)
    assert representation.shape == (2, 11, 5)
    torch.testing.assert_close(model.towers(model.stitches[-1](representation)).squeeze(2).T, logits)


def test_networks_without_layers_are_refused(make_schema, make_model):
    with pytest.raises(UsageError, match="'cross-stitch': parameter 'bottom' is empty"):
        make_model("cross-stitch", make_schema(), bottom=())
