from __future__ import annotations

import os

import pytest
import torch

from rmtl_bench.contracts.device import check_device, default_jobs, require_device, resolve_device
from rmtl_bench.contracts.errors import UsageError


@pytest.fixture
def gpus(monkeypatch):
    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


@pytest.mark.parametrize("text", ["tpu", "", "CPU", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "cuda:0\n"])
def test_what_is_no_device_is_refused_with_what_is_one(text):
    with pytest.raises(UsageError) as caught:
        check_device(text)
    assert repr(text) in str(caught.value)
    assert "auto, cpu, cuda or cuda:N" in str(caught.value)


@pytest.mark.parametrize("check", [require_device, resolve_device])
def test_a_gpu_that_is_not_there_is_refused_with_what_is(gpus, check):
    gpus(0)
    with pytest.raises(
        UsageError, match=r"device 'cuda:99' is not there: this machine has no CUDA device; .*auto or cpu"
    ):
        check("cuda:99")
    gpus(2)
    with pytest.raises(UsageError, match=r"device 'cuda:2' is not there: this machine has 2 CUDA device\(s\)"):
        check("cuda:2")


def test_a_device_means_what_the_machine_has(gpus):
    gpus(0)
    assert [resolve_device(text) for text in ("auto", "cpu")] == ["cpu", "cpu"]
    gpus(2)
    assert [resolve_device(text) for text in ("auto", "cpu", "cuda", "cuda:1")] == ["cuda", "cpu", "cuda", "cuda:1"]


def test_devices_that_need_no_gpu_are_not_looked_for(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    for text in ("auto", "cpu"):
        require_device(text)
    assert resolve_device("cpu") == "cpu"


def test_as_many_runs_at_once_as_cores_and_one_on_a_gpu():
    assert default_jobs("cpu") == len(os.sched_getaffinity(0))
    assert default_jobs("cuda:1") == 1
