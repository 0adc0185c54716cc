"""What a CUDA graph may record of a model, tried on tensors without numbers: fetching one is an error."""

from __future__ import annotations

import pytest
import torch

from rmtl_bench.contracts import Batch
from rmtl_bench.training.cuda_graphs import CudaRecorder
from rmtl_bench.training.device_operations import DeviceOperations

META = torch.device("meta")


def moved(batch, device):
    tensors = {field: getattr(batch, field) for field in Batch.__dataclass_fields__}
    return Batch(**{field: None if value is None else value.to(device) for field, value in tensors.items()})


# Only tensors without numbers tell the device from the CPU; only on those with numbers is the real way back taken.
@pytest.mark.parametrize("device", [META, torch.device("cpu")], ids=str)
def test_forward_and_backward_pass_stay_on_the_device(device, variant, make_schema, make_batch, make_model):
    name, parameters = variant
    schema = make_schema(3, numerical=("price",))
    # On the CPU, dropout is of another make.
    model = make_model(name, schema, **parameters, dropout=0.2 if device == META else 0.0).to(device).train()
    batch = moved(make_batch(schema), device)
    assert model.capturable
    with DeviceOperations(device) as operations:
        logits, _ = model.represent(batch)
        loss, penalty = logits.square().sum(), model.penalty(logits, batch)
        (loss if penalty is None else loss + penalty).backward()
    assert operations.found == []
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)


def test_penalties_of_several_seeds_stay_on_the_device(variant, make_schema, make_batch, make_model):
    name, parameters = variant
    schema = make_schema(3, numerical=("price",))
    model = make_model(name, schema, **parameters, dropout=0.0).to(META).train()
    batch = moved(make_batch(schema), META)
    logits = torch.empty(2, len(batch), 3, device=META, requires_grad=True)

    def penalty(of_seed):
        found = model.penalty(of_seed, batch)
        return of_seed.sum() if found is None else found

    with DeviceOperations(META) as operations:
        torch.func.vmap(penalty)(logits).sum().backward()
    assert operations.found == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_recorded_pass_has_the_numbers_of_an_eager_one(variant, make_schema, make_batch, make_model):
    name, parameters = variant
    schema = make_schema(3, numerical=("price",))
    device = torch.device("cuda", 0)
    model = make_model(name, schema, **parameters).to(device).train()
    batch = moved(make_batch(schema, rows=64), device)
    recorder = CudaRecorder(device)

    def step():
        model.zero_grad(set_to_none=True)
        logits, _ = model.represent(batch)
        loss, penalty = logits.square().sum(), model.penalty(logits, batch)
        (loss if penalty is None else loss + penalty).backward()
        return [logits.detach(), *(parameter.grad for parameter in model.parameters() if parameter.requires_grad)]

    recorder.aside(step)
    torch.manual_seed(3)
    eager = recorder.aside(step)
    launch, recorded = recorder.record(step)
    torch.manual_seed(3)
    launch()
    torch.cuda.synchronize()
    for one, other in zip(recorded, eager, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
