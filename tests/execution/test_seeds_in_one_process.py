"""Seeds of a cell that one process makes, side by side or one after another."""

from __future__ import annotations

import dataclasses
import signal

import numpy as np
import pytest

from rmtl_bench.contracts.executor import Job, Room
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.execution import Options
from rmtl_bench.execution.options import MOST_SEEDS
from rmtl_bench.execution.process_executor import ProcessExecutor
from rmtl_bench.store import Index, Store
from rmtl_bench.store.run_files import read_run, read_table

SEEDS = range(4)
RAISED = "RuntimeError: the toy was told to raise"


@pytest.fixture
def elsewhere(workshop, tmp_path):
    """The workshop with a store of its own."""
    return dataclasses.replace(workshop, store=Store.open(tmp_path / "store"))


def scores_of(workshop, cells):
    tables = [read_table(workshop.store.runs_path / cell.run_id, "metrics") for cell in cells]
    return np.array([table["value"] for table in tables])


@pytest.fixture(scope="module")
def cells(workshop):
    return [workshop.cell(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def alone(workshop, new_watcher, cells, tmp_path_factory):
    """The scores of the cells in processes of their own."""
    workshop.execute(cells, new_watcher())
    return scores_of(workshop, cells)


@pytest.mark.parametrize("seeds_per_pass", [0, 3, 4])
def test_seeds_side_by_side_score_what_they_score_alone(elsewhere, new_watcher, cells, alone, seeds_per_pass):
    watcher = new_watcher()
    assert elsewhere.execute(cells, watcher, jobs=1, seeds_per_pass=seeds_per_pass) == {"ok": 4}
    np.testing.assert_allclose(scores_of(elsewhere, cells), alone, atol=1e-6)
    assert set(watcher.outcomes) == set(watcher.begun) == {cell.run_id for cell in cells}
    assert set(watcher.epochs) == set(watcher.outcomes)


def test_a_run_says_how_many_seeds_were_in_its_pass_and_all_have_the_log(elsewhere, new_watcher, cells):
    elsewhere.execute(cells, new_watcher(), jobs=1, seeds_per_pass=4)
    folders = [elsewhere.store.runs_path / cell.run_id for cell in cells]
    assert [read_run(folder).facts["seeds_side_by_side"] for folder in folders] == [4] * 4
    assert len({(folder / "log.txt").read_text() for folder in folders}) == 1
    assert "the observer saw 3" in (folders[0] / "log.txt").read_text()


def test_one_that_raises_takes_no_other_down_whatever_the_order(workshop, new_watcher):
    good, bad = (
        [workshop.cell(seed) for seed in (10, 11)],
        [workshop.cell(seed, behaviour="raise") for seed in (10, 11)],
    )
    counts = workshop.execute([bad[0], good[0], bad[1], good[1]], new_watcher(), jobs=1, seeds_per_pass=4)
    assert counts == {"ok": 2, "failed": 2}
    errors = [read_run(workshop.store.runs_path / cell.run_id).error for cell in (*good, *bad)]
    assert [error.splitlines()[-1] if error else "" for error in errors] == ["", "", RAISED, RAISED]


def test_a_seed_that_diverges_is_a_diverged_run(workshop, new_watcher):
    cells = [workshop.cell(seed, behaviour="diverge") for seed in (20, 21)]
    assert workshop.execute(cells, new_watcher(), jobs=1, seeds_per_pass=2) == {"diverged": 2}


def test_of_a_killed_process_what_it_had_begun_is_made_once_more_and_the_rest_as_if_nothing_were(workshop, new_watcher):
    cells = [workshop.cell(seed, behaviour="die") for seed in (30, 31, 32, 33)]
    # Passes of two in one process: the first pass is killed, the second has not begun.
    watcher = new_watcher()
    options = Options(device="cpu", jobs=1, seeds_per_pass=0).within(Room("cpu", 1, 1))
    assert options.most_seeds(4, 1) == 4
    assert workshop.execute(cells, watcher, jobs=1, seeds_per_pass=2) == {"interrupted": 4}
    assert sorted(watcher.lost) == sorted(cell.run_id for cell in cells)
    statuses = {run_id: attempt.status for run_id, attempt in Index(workshop.store).latest().items()}
    assert {statuses[cell.run_id] for cell in cells} == {"interrupted"}
    assert signal.Signals.SIGKILL.name in read_run(workshop.store.runs_path / cells[0].run_id).error


def test_seeds_that_build_on_others_wait_for_all_and_start_together(workshop, new_watcher):
    pairs = [workshop.heirs(seed) for seed in (40, 41, 42)]
    sources, heirs = [source for source, _ in pairs], [heir for _, heir in pairs]
    counts = workshop.execute([*heirs, *sources], new_watcher(), jobs=1, kept=sources, seeds_per_pass=3)
    assert counts == {"ok": 6}


def test_a_request_for_several_runs_comes_back_as_it_went(request_for, cells):
    first, *others = [request_for(cell) for cell in cells]
    request = dataclasses.replace(first, others=tuple(others), seeds_per_pass=0)
    assert RunRequest.from_line(request.to_line()) == request
    assert [run.cell.seed for run in request.runs] == list(SEEDS)


def test_choices_follow_the_device_and_the_cores(workshop, monkeypatch):
    monkeypatch.setattr("rmtl_bench.execution.process_executor.cores", lambda: 8)
    monkeypatch.setattr("rmtl_bench.execution.process_executor.default_jobs", lambda d: 1 if d == "cuda" else 8)

    def choices(device, runs, **given):
        monkeypatch.setattr("rmtl_bench.execution.process_executor.resolve_device", lambda text, count: device)
        options, executor = Options(**given), ProcessExecutor(workshop.starter)
        job = Job(options.device, options.jobs, options.threads, runs, (), {})
        try:
            made = options.within(executor.open(job, lambda request, event: None))
        finally:
            executor.close()
        return made.device, made.jobs, made.threads, made.seeds_per_pass

    assert choices("cpu", 100) == ("cpu", 8, 1, 1)
    assert choices("cuda", 100) == ("cuda", 1, 1, 0)
    assert choices("cpu", 3, threads=0) == ("cpu", 3, 2, 1)
    assert choices("cpu", 2, seeds_per_pass=0) == ("cpu", 2, 1, 0)


def test_measured_seeds_are_divided_where_groups_are_fewer_than_processes():
    two = Options(jobs=2, seeds_per_pass=0)
    assert [two.most_seeds(10, groups) for groups in (1, 2, 5)] == [5, 10, 10]
    assert two.most_seeds(100, 9) == MOST_SEEDS
    assert Options(jobs=2, seeds_per_pass=3).most_seeds(10, 1) == 3
