from __future__ import annotations

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import FieldEmbedding
from rmtl_bench_backbones.dcn_v2 import CrossLayers


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_it_is_the_papers_equation_unit_by_unit(layers, make_schema, make_batch, make_model):
    schema = make_schema(2, numerical=("price",))
    model = make_model("shared-bottom", schema, interaction="dcn-v2", cross_layers=layers).eval().double()
    x0 = torch.randn(5, 16, dtype=torch.float64)
    crossed = model.interaction(x0).detach().numpy()
    for row, start in enumerate(x0.numpy()):
        x = start
        for weights, biases in zip(model.interaction.weights, model.interaction.biases, strict=True):
            weight, bias = weights.detach().numpy(), biases.detach().numpy()
            linear = [sum(x[i] * weight[i, o] for i in range(16)) + bias[o] for o in range(16)]
            x = np.array([start[o] * linear[o] + x[o] for o in range(16)])
        np.testing.assert_allclose(crossed[row], x, rtol=1e-10)


def test_two_layers_by_hand(make_schema):
    schema = make_schema(1, sizes=(3,))
    cross = CrossLayers(schema, FieldEmbedding(schema, 1), 2)
    with torch.no_grad():
        for parameter, value in zip([*cross.weights, *cross.biases], (2.0, 3.0, 1.0, -1.0), strict=True):
            parameter.fill_(value)
    # 3 * (2*3 + 1) + 3 = 24, then 3 * (3*24 - 1) + 24 = 237.
    assert cross(torch.tensor([[3.0]])).item() == 237


def test_layers_of_zeros_change_nothing(make_schema, make_batch, make_model):
    schema = make_schema(2)
    model, batch = make_model("mmoe", schema, interaction="dcn-v2").eval(), make_batch(schema)
    with torch.no_grad():
        for parameter in model.interaction.parameters():
            parameter.zero_()
    assert torch.equal(model(batch), model.network(model.embedding(batch))[0])
