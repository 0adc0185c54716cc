"""Rows that stay on the disk train to the numbers of resident rows, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rmtl_bench.data.mapped_rows import MappedRows
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.data.storage import load_table, save_table
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide
from rmtl_bench.training.trainer import Trainer

CPU = torch.device("cpu")
BLOCKS = {"shuffle": "blocks", "shuffle_block_rows": 32, "shuffle_window": 3}


@pytest.fixture(scope="module")
def stored(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared") / "toy"
    save_table(table, folder)
    return load_table(folder)


@pytest.fixture
def trainer_on(stored, make_trainer):
    def make(kind, **given) -> Trainer:
        made = make_trainer(data=stored, **given)
        train, valid = (kind(stored, split, CPU) for split in ("train", "valid"))
        return Trainer(made.backbone, made.weighting, train, valid, made.settings, made.streams)

    return make


@pytest.mark.parametrize("shuffle", [{}, BLOCKS], ids=["rows", "blocks"])
@pytest.mark.parametrize("weighting", ["Equal", "MGDA"])
def test_a_training_is_the_same_to_the_bit(trainer_on, toy, stored, assert_same_training, shuffle, weighting, recwarn):
    trained = [
        trainer_on(kind, weighting=getattr(toy, weighting)(stored.schema.tasks), **shuffle)
        for kind in (DeviceRows, MappedRows)
    ]
    for trainer in trained:
        trainer.run()
    assert_same_training(*trained, exactly=True)
    logits = [trainer.predict(trainer.valid).numpy() for trainer in trained]
    np.testing.assert_array_equal(*logits)
    assert not [str(warning.message) for warning in recwarn if "not writable" in str(warning.message)]


def test_seeds_side_by_side_are_the_same_to_the_bit(trainer_on, make_cell, assert_same_training):
    resident, mapped = (
        [trainer_on(kind, cell=make_cell(seed=seed), **BLOCKS) for seed in range(3)]
        for kind in (DeviceRows, MappedRows)
    )
    for trainers in (resident, mapped):
        assert SeedsSideBySide(trainers).run() == [None] * 3
    for one, other in zip(resident, mapped, strict=True):
        assert_same_training(one, other, exactly=True)


def test_blocks_change_the_order_and_with_it_the_numbers(trainer_on):
    by_rows, by_blocks = trainer_on(DeviceRows), trainer_on(DeviceRows, **BLOCKS)
    assert by_rows.run().epochs["value"] != by_blocks.run().epochs["value"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_window_and_its_batches_lie_there(stored, make_trainer):
    cuda = torch.device("cuda")
    rows, expected = (kind(stored, "train", cuda) for kind in (MappedRows, DeviceRows))
    rows.hold([range(64, 96), range(32)])
    for chosen in (torch.arange(20, 90), torch.tensor([[1, 70], [95, 200]])):
        for positions in (chosen, chosen.to(cuda)):
            found, right = rows.batch(positions), expected.batch(chosen.to(cuda))
            assert found.labels.is_cuda
            assert all(torch.equal(getattr(found, name), getattr(right, name)) for name in ("categorical", "rows"))
    valid = MappedRows(stored, "valid", cuda)
    made = make_trainer(data=stored, device="cuda", **BLOCKS)
    trainer = Trainer(made.backbone, made.weighting, rows, valid, made.settings, made.streams)
    history = trainer.run()
    on_device = make_trainer(data=stored, device="cuda", **BLOCKS).run()
    assert history.weights["mean"] == pytest.approx(on_device.weights["mean"])
    assert [stage.steps for stage in history.stages] == [stage.steps for stage in on_device.stages]
