from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.training.order import batches_of, block_order, row_order
from rmtl_bench.training.settings import TrainerSettings


class Rows:
    """Rows that note which blocks they are to expect."""

    device = torch.device("cpu")
    resident = True

    def __init__(self, count):
        self.count = count
        self.held = {}
        self.told = 0

    def __len__(self):
        return self.count

    def hold(self, blocks, place=0):
        self.told += 1
        self.held[place] = list(blocks)


def by_blocks(batch_size, block_rows, window):
    given = {"batch_size": batch_size, "shuffle_block_rows": block_rows, "shuffle_window": window}
    return TrainerSettings.resolve({"shuffle": "blocks", **given})


@settings(deadline=None, max_examples=50)
@given(
    count=st.integers(1, 300),
    batch=st.integers(1, 70),
    block_rows=st.integers(1, 40),
    window=st.integers(1, 9),
    seed=st.integers(0, 2**63 - 1),
)
def test_by_blocks_every_row_comes_once_in_batches_of_the_same_sizes(count, batch, block_rows, window, seed):
    rows = Rows(count)
    batches = batches_of(rows, [seed], by_blocks(batch, block_rows, window))
    found = list(batches)
    whole = batches_of(rows, [seed], TrainerSettings.resolve({"batch_size": batch}))
    assert [len(rows) for rows in found] == [len(rows) for rows in whole]
    assert len(batches) == len(found)
    assert sorted(torch.cat(found).tolist()) == list(range(count))
    assert all(part.dtype == torch.int64 for part in found)


@pytest.mark.parametrize("window", [2, 3])
def test_a_window_has_whole_blocks_and_is_announced_before_its_rows_are_asked_for(window):
    rows = Rows(95)
    before = set()
    for batch in batches_of(rows, [3], by_blocks(10, 10, window)):
        (blocks,) = rows.held.values()
        assert len(blocks) <= window
        assert all(block.start % 10 == 0 and len(block) == min(10, 95 - block.start) for block in blocks)
        now = {row for block in blocks for row in block}
        # A batch that begins in one window may end in the next.
        assert set(batch.tolist()) <= now | before
        before = now
    assert rows.held == {0: []}


def test_rows_of_a_window_come_from_blocks_all_over_the_split():
    (blocks, order), *_ = block_order(100_000, 11, 100, 10)
    assert len(order) == 1000
    starts = torch.tensor([float(block.start) for block in blocks])
    assert starts.std() > 10_000
    # Consecutive rows of the order are of other blocks nine times in ten.
    assert ((order[1:] // 100) != (order[:-1] // 100)).float().mean() == pytest.approx(0.9, abs=0.05)


def test_the_order_follows_from_the_seed_alone():
    def order(seed):
        return torch.cat([rows for _, rows in block_order(1000, seed, 16, 8)])

    assert torch.equal(order(1), order(1))
    assert not torch.equal(order(1), order(2))


def test_one_window_over_all_blocks_is_a_permutation_of_all_rows():
    ((_, order),) = block_order(64, 5, 1, 64)
    assert sorted(order.tolist()) == list(range(64))


def test_seeds_side_by_side_have_the_orders_that_each_has_alone():
    rows, chosen = Rows(203), by_blocks(20, 8, 3)
    alone = [torch.cat(list(batches_of(rows, [seed], chosen))) for seed in (4, 9)]
    together = torch.cat(list(batches_of(rows, [4, 9], chosen, stacked=True)), dim=1)
    assert torch.equal(together, torch.stack(alone))


def test_an_order_that_is_given_up_lets_go_of_its_blocks():
    rows = Rows(100)
    batches = iter(batches_of(rows, [0], by_blocks(10, 10, 2)))
    next(batches)
    assert rows.held[0]
    batches.close()
    assert rows.held == {0: []}


def test_whole_orders_are_what_they_were_before_there_were_blocks(make_trainer):
    # Written down from the version that knew no other order.
    assert row_order(10, 5).tolist() == [1, 4, 9, 6, 3, 5, 0, 2, 8, 7]
    trainer = make_trainer()
    (stage,) = trainer.stages()
    course = SimpleNamespace(stage=stage, epochs=2)
    assert row_order(360, trainer.order_seed(course))[:8].tolist() == [82, 332, 37, 304, 226, 163, 286, 309]


def test_settings_that_have_their_defaults_leave_a_runs_identity_as_it_was():
    names = {"batch_size", "evaluation_batch_size", "learning_rate", "weight_decay", "max_epochs", "patience"}
    assert TrainerSettings.resolve({}).identity().keys() == names | {"precision"}
    assert TrainerSettings.resolve({"shuffle": "rows"}).identity().keys() == names | {"precision"}
    chosen = TrainerSettings.resolve({"shuffle": "blocks", "shuffle_window": 8})
    assert chosen.identity().items() >= {"shuffle": "blocks", "shuffle_window": 8}.items()
    assert TrainerSettings(**chosen.identity()) == chosen


def test_a_window_without_blocks_is_refused():
    with pytest.raises(UsageError, match='shuffle_window\' is 8; it takes shuffle = "blocks" beside it'):
        TrainerSettings.resolve({"shuffle_window": 8})
    with pytest.raises(UsageError, match="'shuffle' is 'row'; it takes one of 'rows', 'blocks'"):
        TrainerSettings.resolve({"shuffle": "row"})
