from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch

from rmtl_bench.contracts import optimizers

SETTINGS = {
    "Adam": {"lr": 0.05, "weight_decay": 0.1, "fused": True},
    "SGD": {"lr": 0.05, "weight_decay": 0.1, "momentum": 0.9},
}
PAIRS = [(getattr(optimizers, name), getattr(torch.optim, name), settings) for name, settings in SETTINGS.items()]

TRAINING = """
import sys
import torch
from rmtl_bench.contracts.optimizers import Adam, SGD

for kind in (Adam, SGD):
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = kind([parameter], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        parameter.square().sum().backward()
        optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
print([name for name in ("torch._dynamo", "sympy") if name in sys.modules])
"""


def train(kind, settings, steps=5):
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
    optimizer = kind([{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.01}], **settings)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
    return model, optimizer


@pytest.mark.parametrize(("ours", "torchs", "settings"), PAIRS, ids=SETTINGS)
def test_a_step_is_torchs_bit_for_bit(ours, torchs, settings):
    (model, optimizer), (other, its) = train(ours, settings), train(torchs, settings)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
    assert optimizer.state_dict()["param_groups"] == its.state_dict()["param_groups"]
    assert type(optimizer).__name__ == type(its).__name__


@pytest.mark.parametrize(("ours", "torchs", "settings"), PAIRS, ids=SETTINGS)
def test_training_goes_on_from_a_state_that_was_kept(ours, torchs, settings):
    model, optimizer = train(ours, settings)
    again = copy.deepcopy(model)
    other = ours([{"params": again[0].parameters()}, {"params": again[2].parameters(), "lr": 0.01}], **settings)
    # torch copies no tensor of a state.
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    batch = torch.randn(8, 4)
    for trained, mover in ((model, optimizer), (again, other)):
        mover.zero_grad()
        trained(batch).square().mean().backward()
        mover.step()
    for one, two in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("kind", [optimizers.Adam, optimizers.SGD])
def test_hooks_are_called_and_a_step_records_no_gradient(kind):
    parameter, called = torch.nn.Parameter(torch.ones(2)), []
    optimizer = kind([parameter], lr=0.1)
    optimizer.register_step_pre_hook(lambda *_: called.append(("before", torch.is_grad_enabled())))
    optimizer.register_step_post_hook(lambda *_: called.append(("after", torch.is_grad_enabled())))
    parameter.grad = torch.ones(2)
    optimizer.step()
    assert called == [("before", True), ("after", True)]
    assert parameter.is_leaf
    assert parameter.requires_grad


def test_training_does_not_import_the_compiler():
    done = subprocess.run([sys.executable, "-P", "-c", TRAINING], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
