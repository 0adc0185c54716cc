"""Profiles of runs: in a process that makes one, and in one that makes several."""

from __future__ import annotations

import dataclasses
import gzip
import json
import time

import pytest

from rmtl_bench.execution.profiling import seconds_of_process
from rmtl_bench.execution.worker import make_run
from rmtl_bench.store import Store
from rmtl_bench.store.layout import PROFILE_FILE, TRACE_FILE
from rmtl_bench.store.profiles import read_profile
from rmtl_bench.store.run_files import read_run


def make(request):
    make_run(dataclasses.replace(request, profile=True), lambda event: None)
    return read_run(request.staging), read_profile(request.staging)


def trace_of(folder):
    return json.loads(gzip.decompress((folder / TRACE_FILE).read_bytes()))["traceEvents"]


def test_the_parts_of_a_run_add_up_to_its_time(workshop, request_for):
    request = request_for(workshop.cell())
    before, began = seconds_of_process(), time.perf_counter()
    record, profile = make(request)
    assert record.status == "ok"
    assert before < profile.total < before + time.perf_counter() - began + 0.1
    trained = sum(record.seconds.values())
    assert trained < sum(profile.seconds.values()) - before + 0.1
    assert {"data", "forward", "backward", "optimizer", "weighting", "evaluation", "harness"} <= set(profile.seconds)
    assert (profile.seeds, profile.device, profile.trouble) == (1, "cpu", "")
    assert {event.get("name") for event in trace_of(request.staging)} >= {"forward", "backward"}
    assert (request.staging / TRACE_FILE).stat().st_size < 1 << 20


def test_a_run_that_nobody_profiles_has_no_profile(workshop, request_for):
    request = request_for(workshop.cell())
    make_run(request, lambda event: None)
    assert not {PROFILE_FILE, TRACE_FILE} & {path.name for path in request.staging.iterdir()}


@pytest.mark.parametrize(("behaviour", "status"), [("raise", "failed"), ("diverge-later", "diverged")])
def test_a_run_that_ends_badly_leaves_what_it_has(workshop, request_for, behaviour, status):
    record, profile = make(request_for(workshop.cell(behaviour=behaviour)))
    assert record.status == status
    assert profile.counts["forward"] >= 1
    assert profile.total > 0


def test_runs_of_one_process_share_a_profile(workshop, new_watcher, tmp_path):
    elsewhere = dataclasses.replace(workshop, store=Store.open(tmp_path / "store"))
    cells = [workshop.cell(seed) for seed in range(2)]
    elsewhere.execute(cells, new_watcher(), jobs=1, seeds_per_pass=0, profile=True)
    folders = [elsewhere.store.runs_path / cell.run_id for cell in cells]
    first, second = map(read_profile, folders)
    assert first == second
    assert first.seeds == 2
    assert first.traced == {"train": 3}
    assert trace_of(folders[0]) == trace_of(folders[1])


def test_this_process_is_older_than_nothing():
    assert 0 <= seconds_of_process() < 24 * 3600
