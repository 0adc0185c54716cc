from __future__ import annotations

import torch
from torch import nn

from rmtl_bench.contracts import Batch, CategoricalField, FieldEmbedding, ParallelMLP, Schema, Task

SCHEMA = Schema((CategoricalField("a", 3), CategoricalField("b", 4)), ("x", "y"), (Task("t"),))


def batch(categorical: list[list[int]], numerical: list[list[float]]) -> Batch:
    n = len(categorical)
    zeros = torch.zeros(n, dtype=torch.int32)
    return Batch(
        torch.tensor(categorical, dtype=torch.int32), torch.tensor(numerical), torch.zeros(n, 1), None, zeros, zeros,
        torch.arange(n),
    )  # fmt: skip


def test_fields_have_rows_of_their_own_in_the_joint_table() -> None:
    embedding = FieldEmbedding(SCHEMA, 2)
    assert embedding.width == 6
    out = embedding(batch([[2, 0]], [[0.0, 0.0]]))
    assert torch.equal(out[0, :2], embedding.table[2])
    assert torch.equal(out[0, 2:4], embedding.table[3])


def test_fields_of_one_kind_alone_work() -> None:
    only_numbers = FieldEmbedding(Schema((), ("x",), (Task("t"),)), 5)
    assert only_numbers(batch([[]], [[1.0]])).shape == (1, 5)
    only_ids = FieldEmbedding(Schema((CategoricalField("a", 3),), (), (Task("t"),)), 5)
    assert only_ids(batch([[1]], [[]])).shape == (1, 5)


def test_parallel_perceptrons_equal_separate_ones() -> None:
    torch.manual_seed(0)
    parallel = ParallelMLP(3, 4, (5, 6), dropout=0.0, output=2)
    shared, own = torch.randn(7, 4), torch.randn(3, 7, 4)
    for x in (shared, own):
        out = parallel(x)
        for i in range(3):
            h = x if x.dim() == 2 else x[i]
            for layer, (weight, bias) in enumerate(zip(parallel.weights, parallel.biases, strict=True)):
                h = h @ weight[i] + bias[i]
                h = torch.relu(h) if layer < 2 else h
            torch.testing.assert_close(out[i], h)


def test_perceptrons_without_layers_hand_their_input_on() -> None:
    x = torch.randn(4, 3)
    assert torch.equal(ParallelMLP(2, 3, (), dropout=0.5)(x), x.expand(2, 4, 3))


def test_initialisation_has_the_spread_of_a_linear_layer() -> None:
    torch.manual_seed(0)
    weight = ParallelMLP(8, 64, (64,), dropout=0.0).weights[0]
    assert abs(weight.std() - nn.Linear(64, 64 * 8).weight.std()) < 0.002


def test_perceptrons_drop_out_in_training_and_only_there() -> None:
    torch.manual_seed(0)
    parallel = ParallelMLP(2, 4, (500,), dropout=0.3)
    x = torch.randn(40, 4)
    kept = parallel.eval()(x)
    assert torch.equal(parallel(x), kept)
    dropped = (parallel.train()(x) == 0) & (kept > 0)
    assert abs(dropped.sum() / (kept > 0).sum() - 0.3) < 0.03
    torch.testing.assert_close(parallel(x).max(), kept.max() / 0.7, rtol=1e-2, atol=0)
