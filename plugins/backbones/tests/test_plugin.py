from __future__ import annotations

import subprocess
import sys

import pytest

from rmtl_bench.contracts import UsageError
from rmtl_bench_backbones.plugin import rmtl_backbones


def test_listing_does_not_import_torch():
    code = (
        "import sys; from rmtl_bench_backbones.plugin import rmtl_backbones; "
        "print(*[i.name for i in rmtl_backbones()]); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["single-task", "shared-bottom", "esmm", "mmoe", "ple"]


def test_capabilities_say_what_can_go_together():
    infos = {info.name: info for info in rmtl_backbones()}
    assert {n for n, i in infos.items() if "shared-parameters" in i.provides} == {"shared-bottom", "mmoe", "ple"}
    assert {n for n, i in infos.items() if "parent-task" in i.requires} == {"esmm"}


@pytest.mark.parametrize(
    ("backbone", "given"),
    [
        ("ple", {"task_experts": 0}),
        ("mmoe", {"experts": 0}),
        ("esmm", {"dropout": 1.0}),
        ("single-task", {"bottom": [64, 0]}),
        ("shared-bottom", {"embedding_dim": 0}),
    ],
)
def test_impossible_values_are_refused_by_the_catalogue(backbone, given):
    (info,) = [info for info in rmtl_backbones() if info.name == backbone]
    with pytest.raises(UsageError, match=next(iter(given))):
        info.resolve(given)
