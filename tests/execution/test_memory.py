"""The memory that a run's process keeps, in processes of their own: the setting cannot be taken back."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from rmtl_bench.execution.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
# Until then the heap may still be growing.
for _ in range(20):
    torch.ones(20_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(20_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(word):
    done = subprocess.run([sys.executable, "-c", FAULTS, word], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the setting is glibc's")
def test_memory_that_was_freed_is_not_fetched_again():
    assert faults("kept") < faults("given back") / 10


def test_where_the_c_library_knows_nothing_of_it_nothing_happens(monkeypatch):
    from rmtl_bench.execution import memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert not memory.keep_freed_memory()
