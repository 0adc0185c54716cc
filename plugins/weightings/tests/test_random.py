from __future__ import annotations

import pytest
import torch


@pytest.mark.parametrize("tasks", [1, 2, 5])
def test_weights_are_positive_sum_to_one_and_are_new_at_each_step(tasks, make, combine):
    weighting = make("random", tasks)
    drawn = torch.stack([combine(weighting, torch.ones(3, tasks)).weights for _ in range(50)])
    torch.testing.assert_close(drawn.sum(1), torch.ones(50))
    assert (drawn > 0).all()
    assert len(drawn.unique(dim=0)) == (1 if tasks == 1 else 50)


def test_the_seed_of_its_own_generator_decides(make, combine):
    def draw(seed, noise):
        torch.manual_seed(noise)
        weighting = make("random", 3, seed)
        return torch.stack([combine(weighting, torch.ones(2, 3)).weights for _ in range(5)])

    assert torch.equal(draw(1, noise=0), draw(1, noise=9))
    assert not torch.equal(draw(1, noise=0), draw(2, noise=0))


def test_weights_are_the_softmax_of_normal_draws(make, combine):
    weighting = make("random", 2)
    drawn = torch.stack([combine(weighting, torch.ones(1, 2)).weights for _ in range(4000)])
    difference = (drawn[:, 0] / drawn[:, 1]).log()
    assert abs(difference.mean().item()) < 0.1
    assert difference.std().item() == pytest.approx(2**0.5, rel=0.05)
