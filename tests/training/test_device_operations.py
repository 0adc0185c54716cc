from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from rmtl_bench.contracts.optimizers import Adam
from rmtl_bench.contracts.stack import ModuleStack
from rmtl_bench.training.device_operations import DeviceOperations

META, CPU = torch.device("meta"), torch.device("cpu")


def found(action, device=CPU):
    with DeviceOperations(device) as operations:
        action()
    return operations.found


@pytest.mark.parametrize(
    "action",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: torch.equal(x, x),
        lambda x: x.index_put_((x > 0,), torch.tensor(1.0)),
        lambda x: x.masked_select(x > 0),
    ],
)
def test_a_number_or_a_shape_that_is_waited_for_is_found(action):
    assert "has the CPU wait for the device" in found(lambda: action(torch.rand(4)))[0]


def test_another_device_is_found():
    x = torch.empty(3, device=META)
    assert found(lambda: torch.rand(3), META) == ["aten.rand.default on the CPU"]
    assert "on the CPU" in found(lambda: torch.tensor([1.0, 2.0, 3.0]).to(META), META)[0]
    assert found(lambda: x + torch.tensor(1.0), META)


def test_an_operation_is_named_once():
    assert len(found(lambda: [torch.rand(3) for _ in range(3)], META)) == 1


def test_the_backward_pass_is_watched():
    class Looking(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * gradient.sum().item()

    x = torch.rand(3, requires_grad=True)
    assert found(lambda: Looking.apply(x).sum().backward())


def test_what_a_training_step_is_made_of_is_not_found():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    stack = ModuleStack([model])
    optimizer = Adam(stack.parameters.values(), fused=True)
    rows, table = torch.arange(5), torch.rand(9, 3)

    def step():
        parameters = {name: value[0] for name, value in stack.parameters.items()}
        logits = torch.func.functional_call(model, parameters, (F.dropout(table[rows], 0.5),))
        loss = torch.where(logits > 0, logits, 0.0).masked_fill(logits > 1, 0.5).clamp(max=2).mean(0)
        (torch.full_like(loss, 0.3) * loss).sum().backward()
        optimizer.step()

    assert found(step) == []


def test_watching_changes_no_number():
    def trained(watched):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 2))
        optimizer = Adam(model.parameters(), fused=True)
        for _ in range(3):
            with DeviceOperations(CPU) if watched else torch.enable_grad():
                optimizer.zero_grad(set_to_none=True)
                model(torch.rand(5, 3)).square().sum().backward()
                optimizer.step()
        return list(model.parameters())

    assert all(torch.equal(*pair) for pair in zip(trained(True), trained(False), strict=True))
