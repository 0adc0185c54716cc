from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st


def test_the_optimum_is_the_logarithm_of_twice_the_loss(make, combine):
    weighting = make("uncertainty")
    means = torch.tensor([[0.2, 0.05]])
    optimizer = torch.optim.LBFGS(weighting.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = combine(weighting, means).loss
        loss.backward()
        return loss

    optimizer.step(closure)
    torch.testing.assert_close(weighting.log_variances.detach(), (2 * means[0]).log(), rtol=0, atol=1e-3)


@settings(deadline=None)
@given(s=st.floats(-5, 5, width=32), mean=st.floats(0.015625, 4, width=32))
def test_the_gradient_is_that_of_the_classification_form(s, mean, make, combine):
    weighting = make("uncertainty", 2, initial_log_variance=s)
    loss, weights = combine(weighting, torch.tensor([[mean, mean]]))
    loss.backward()
    scale = torch.tensor([-s, -s]).exp()
    torch.testing.assert_close(weighting.log_variances.grad, -scale * mean + 0.5)
    torch.testing.assert_close(weights, scale)
    torch.testing.assert_close(loss, (scale * mean + s / 2).sum())


def test_variances_are_learned_and_saved(make):
    weighting = make("uncertainty", 3, initial_log_variance=-0.5)
    assert [p.requires_grad for p in weighting.parameters()] == [True]
    assert weighting.state_dict()["log_variances"].tolist() == pytest.approx([-0.5] * 3)
