"""What is recorded are the products that a computation makes, and the replay makes the same ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.matrix_products import Operand, Product, Replay, matrix_product_seconds, record
from benchmarks.trainings import BareLoop, Data, make_trainer


def test_forward_and_backward_products_of_a_layer_are_recorded_with_their_layouts():
    x, layer = torch.randn(5, 3), nn.Linear(3, 2)
    products = record(lambda: layer(x).sum().backward()).products
    # The weight is [2, 3] and enters transposed; its gradient is X^T times that of the outputs, or the transpose.
    assert products[0] == Product(
        Operand((5, 3), (3, 1), torch.float32, x.device), Operand((3, 2), (1, 3), torch.float32, x.device)
    )
    assert sorted(product.flops for product in products) == [60, 60]


def test_batched_sums_and_results_given_are_recorded_too():
    a, b, bias = torch.randn(4, 5, 3), torch.randn(4, 3, 2), torch.randn(4, 1, 2)

    def compute():
        torch.baddbmm(bias, a, b)
        torch.bmm(a, b, out=torch.empty(4, 5, 2))
        torch.empty(5, 2).addmm_(a[0], b[0])

    assert [str(product) for product in record(compute).products] == ["4x5x3x2", "4x5x3x2", "5x3x2"]


def test_views_are_no_operations():
    x = torch.randn(4, 6)
    assert record(lambda: x.T.reshape(3, 8).add(1)).operations == record(lambda: x.T.reshape(3, 8)).operations + 1


@pytest.mark.parametrize("backbone", ["esmm", "mmoe", "ple"])
def test_operations_of_a_step_are_those_that_torch_counts(registry, backbone):
    data = Data.simulated(registry, 200, held_out=50)
    sizes = {"embedding_dim": 4, "bottom": [8, 6], "tower": [5]}
    loop = BareLoop(make_trainer(registry, data, backbone, backbone_parameters=sizes).backbone, data.train)
    rows = torch.arange(64)
    with FlopCounterMode(display=False) as counted:
        loop.step(rows)
    assert Replay(record(lambda: loop.step(rows)).products).flops == counted.get_total_flops()


def test_the_replay_leaves_out_a_bias_that_is_spread_and_keeps_strides():
    operand = Operand((2, 3, 4), (0, 1, 3), torch.float32, torch.device("cpu"))
    fresh = operand.fresh()
    assert (fresh.shape, fresh.stride()) == ((2, 3, 4), (0, 1, 3))
    Replay([Product(operand, Operand((2, 4, 1), (4, 1, 1), torch.float32, torch.device("cpu")))])()


def test_a_computation_without_products_takes_no_time():
    assert matrix_product_seconds(lambda: torch.ones(3) + 1) == 0.0
