from __future__ import annotations

from pathlib import Path

import pytest

from rmtl_bench.installation import torch_build as module
from rmtl_bench.installation.torch_build import torch_build

TORCH = """
class cuda:
    is_available = staticmethod(lambda: {devices} > 0)
    device_count = staticmethod(lambda: {devices})
    get_device_name = staticmethod(lambda i: f"device {{i}}")
class version:
    cuda = {cuda!r}
__version__ = "9.9"
get_num_threads = lambda: 3
"""


@pytest.fixture
def examine(tmp_path, monkeypatch):
    def with_torch(code):
        (tmp_path / "torch.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(module, "find_spec", lambda name: object())
        return [(f.subject, f.state, f.said) for f in torch_build(Path("store"))]

    return with_torch


def test_a_build_its_threads_and_its_devices_are_named(examine):
    assert examine(TORCH.format(devices=2, cuda="12.8")) == [
        ("torch", "ok", "9.9, built for CUDA 12.8, 3 threads"),
        ("CUDA", "ok", "device 0, device 1"),
    ]


def test_a_build_for_cuda_without_a_device_is_a_note(examine):
    assert examine(TORCH.format(devices=0, cuda="12.8"))[1][:2] == ("CUDA", "note")
    assert examine(TORCH.format(devices=0, cuda=None)) == [("torch", "ok", "9.9, built for CPUs alone, 3 threads")]


def test_a_torch_that_takes_its_process_down_is_a_problem(examine):
    said = "cannot be imported: its process ended with -9"
    assert examine("import os; os.kill(os.getpid(), 9)") == [("torch", "problem", said)]


def test_without_torch_it_is_said_what_to_type(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    [found] = torch_build(Path("store"))
    assert (found.state, found.remedy) == ("note", "pip install 'rmtl-bench[torch]'")
