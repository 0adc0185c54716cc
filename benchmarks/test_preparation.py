"""Preparation at the official sizes, from raw files to a checked table on the disk, beside plain pandas.

Each preparation runs in a process of its own, so that its peak memory is its own. The raw files are synthetic, of the
official sizes and forms; ``RMTL_BENCH_RAW_FILES`` names a folder that has them already.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.raw_files.__main__ import WRITERS

pytestmark = [pytest.mark.benchmark(group="preparation"), pytest.mark.slow]

OURS = """
import json, resource, sys, time
from pathlib import Path
from rmtl_bench.data.preparation import fingerprint, prepare
from rmtl_bench.plugins import load_plugins
name, raw, cache = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
entry = load_plugins(()).registry.find("dataset", name)
component = entry.component({})
begun = time.perf_counter()
dataset = entry.load()(**component.parameters)
prepare(dataset, fingerprint(dataset, component, raw, cache), component, raw, cache)
"""
PANDAS = """
import json, resource, sys, time
from importlib import import_module
from pathlib import Path
module = import_module("benchmarks.plain_pandas." + {"retailrocket": "retailrocket", "kuairand-1k": "kuairand"}[sys.argv[1]])
begun = time.perf_counter()
module.prepare(Path(sys.argv[2]))
"""  # noqa: E501
TELL = """
gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps({"seconds": time.perf_counter() - begun, "gigabytes": gigabytes}))
"""
LIMITS = {"retailrocket": (120, 6), "kuairand-1k": (120, 8)}
"""Seconds and gigabytes that two cores may take."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """The folder of the raw files of both data sets."""
    folder = Path(os.environ.get("RMTL_BENCH_RAW_FILES") or tmp_path_factory.mktemp("raw"))
    for name, write in WRITERS.items():
        if not (folder / name).exists():
            write(folder)
    return folder


def measured(code: str, *arguments: object) -> dict[str, float]:
    command = [sys.executable, "-c", code + TELL, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", LIMITS)
def test_ready_within_the_limits_and_at_once_the_second_time(benchmark, raw, tmp_path, name):
    first = benchmark.pedantic(measured, (OURS, name, raw, tmp_path), rounds=1)
    second = measured(OURS, name, raw, tmp_path)
    pandas = measured(PANDAS, name, raw)
    ratio = pandas["seconds"] / first["seconds"]
    benchmark.extra_info.update(
        first, again=second["seconds"], pandas=pandas, **{"ratio of plain pandas' time to ours": ratio}
    )
    print(f"\n{name}: {first}, again {second['seconds']:.2f} s; plain pandas {pandas}: {ratio:.1f} times as fast")
    seconds, gigabytes = LIMITS[name]
    assert first["seconds"] < seconds
    assert first["gigabytes"] < gigabytes
    assert second["seconds"] < 2
