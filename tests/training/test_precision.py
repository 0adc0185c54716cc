from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from rmtl_bench.contracts import Backbone, FieldEmbedding
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.training.precision import Precision
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide
from rmtl_bench.training.settings import EVALUATION_ON_CUDA, PRECISIONS, TrainerSettings

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
EPSILON = 2**-8
"""The relative distance of a bfloat16 from its neighbours, at most."""


class Products(Backbone):
    """Two products of matrices; notes the types that its forward pass sees."""

    def __init__(self, schema):
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, 4)
        self.shared = nn.Linear(self.embedding.width, 8)
        self.heads = nn.Linear(8, len(schema.tasks))
        self.seen = set()

    def forward(self, batch):
        return self.represent(batch)[0]

    def represent(self, batch):
        representation = self.shared(self.embedding(batch)).relu()
        logits = self.heads(representation)
        self.seen |= {representation.dtype, logits.dtype}
        return logits, representation

    def shared_parameters(self):
        return list(self.shared.parameters())


@pytest.fixture
def batch(make_trainer):
    trainer = make_trainer(backbone=Products)
    return trainer.backbone, trainer.train.batch(torch.arange(50))


@pytest.mark.parametrize("name", ["float32", "tf32"])
def test_on_the_cpu_the_forward_pass_is_float32_bit_for_bit(name, batch):
    backbone, rows = batch
    assert torch.equal(Precision(name).logits(backbone, rows), backbone(rows))
    assert backbone.seen == {torch.float32}


def test_bf16_rounds_the_products_and_returns_float32(batch):
    backbone, rows = batch
    exact = backbone(rows)
    backbone.seen.clear()
    logits = Precision("bf16").logits(backbone, rows)
    assert backbone.seen == {torch.bfloat16}
    assert logits.dtype == torch.float32
    assert torch.equal(logits, logits.bfloat16().float())
    assert not torch.equal(logits, exact)
    torch.testing.assert_close(logits, exact, rtol=4 * EPSILON, atol=4 * EPSILON * exact.abs().max().item())
    again, representation = Precision("bf16").represent(backbone, rows)
    assert torch.equal(again, logits)
    assert representation.dtype == torch.bfloat16


def test_gradients_and_parameters_stay_float32(batch):
    backbone, rows = batch
    Precision("bf16").logits(backbone, rows).sum().backward()
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    assert {parameter.grad.dtype for parameter in backbone.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "device", "within"),
    [
        ("float32", CPU, "highest"),
        ("tf32", CPU, "highest"),
        ("bf16", CPU, "highest"),
        ("float32", CUDA, "highest"),
        ("tf32", CUDA, "high"),
        ("bf16", CUDA, "highest"),
    ],
)
def test_float32_products_are_full_unless_tf32_is_asked_for_on_a_gpu(name, device, within):
    torch.set_float32_matmul_precision("high")
    try:
        with Precision(name).products(device):
            assert torch.get_float32_matmul_precision() == within
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_name_is_checked_and_the_default_is_float32():
    assert TrainerSettings.resolve({}).precision == "float32"
    assert PRECISIONS == ("float32", "tf32", "bf16")
    with pytest.raises(UsageError, match="'precision' is 'fp16'"):
        TrainerSettings.resolve({"precision": "fp16"})


def test_precision_is_a_part_of_a_runs_identity(make_cell):
    cell = make_cell()
    other = dataclasses.replace(cell, trainer={**cell.trainer, "precision": "bf16"})
    assert cell.run_id != other.run_id


def test_a_gpu_is_given_more_rows_an_evaluation():
    settings = TrainerSettings.resolve({"evaluation_batch_size": 100})
    assert settings.evaluation_rows("cpu") == 100
    assert settings.evaluation_rows("cuda") == 100 * EVALUATION_ON_CUDA


def run(make_trainer, weighting=None, cell=None, **settings):
    trainer = make_trainer(weighting, cell, Products, max_epochs=2, **settings)
    history = trainer.run()
    epochs = zip(history.epochs["quantity"], history.epochs["value"], strict=True)
    return trainer, [value for quantity, value in epochs if quantity == "train-loss"]


@pytest.mark.parametrize("scope", [None, "shared", "representation"])
def test_a_bf16_training_is_another_one_and_comes_near_to_the_float32_one(scope, make_trainer, toy, table):
    weighting = (lambda: toy.MGDA(table.schema.tasks, scope)) if scope else (lambda: None)
    (exact, losses), (rounded, others) = (
        run(make_trainer, weighting(), precision=name) for name in ("float32", "bf16")
    )
    assert losses != others
    torch.testing.assert_close(torch.tensor(others), torch.tensor(losses), rtol=0.02, atol=0)
    torch.testing.assert_close(rounded.predict(rounded.valid), exact.predict(exact.valid), rtol=0.2, atol=0.1)
    assert exact.backbone.seen == {torch.float32}
    assert rounded.backbone.seen == {torch.bfloat16}
    assert {value.dtype for value in rounded.backbone.state_dict().values() if value.is_floating_point()} == {
        torch.float32
    }


def test_seeds_side_by_side_round_their_products_too(make_trainer, make_cell):
    def train_losses(name):
        cells = [make_cell(seed) for seed in range(2)]
        trainers = [make_trainer(None, cell, Products, max_epochs=2, precision=name) for cell in cells]
        assert SeedsSideBySide(trainers).run() == [None, None]
        for trainer in trainers:
            epochs = zip(trainer.history.epochs["quantity"], trainer.history.epochs["value"], strict=True)
            yield [value for quantity, value in epochs if quantity == "train-loss"]

    exact, rounded = list(train_losses("float32")), list(train_losses("bf16"))
    alone = [run(make_trainer, cell=make_cell(seed), precision="bf16")[1] for seed in range(2)]
    assert all(one != other for one, other in zip(exact, rounded, strict=True))
    torch.testing.assert_close(torch.tensor(rounded), torch.tensor(alone), rtol=0.02, atol=0)


def test_the_process_is_left_as_it_was(make_trainer):
    make_trainer(precision="tf32").run()
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.is_autocast_enabled("cpu")
