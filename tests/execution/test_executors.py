"""What a suite run through each executor comes to: the same numbers and files. See test_contract.py for the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.contracts.executor import Executor
from rmtl_bench.contracts.run_request import Limits
from rmtl_bench.execution import Options, SuiteRunner
from rmtl_bench.execution.inline_executor import InlineExecutor
from rmtl_bench.execution.process_executor import ProcessExecutor
from rmtl_bench.store import Store
from rmtl_bench.store.layout import PROFILE_FILE
from rmtl_bench.store.run_files import read_environment, read_run, read_table


@dataclass
class Place:
    """An executor to try: its name, and how to make one."""

    name: str
    make: Callable[[], Executor]


@pytest.fixture(scope="module", params=["inline", "process", "ray"])
def place(request, workshop):
    if request.param == "inline":
        return Place("inline", InlineExecutor)
    if request.param == "process":
        return Place("process", lambda: ProcessExecutor(workshop.starter))
    request.getfixturevalue("in_ray_cluster")
    from rmtl_bench.execution.ray_executor import RayExecutor

    return Place("ray", RayExecutor)


@pytest.fixture
def isolated(place):
    """Only where a run has a process of its own."""
    if place.name == "inline":
        pytest.skip("a run that ends its process would end the tests")
    return place


@pytest.fixture(scope="module")
def cells(workshop):
    source, heir = workshop.heirs(3)
    plain, mgda, failing = workshop.cell(), workshop.cell(weighting="toy-mgda"), workshop.cell(behaviour="raise")
    return SimpleNamespace(plain=plain, mgda=mgda, source=source, heir=heir, failing=failing)


@pytest.fixture(scope="module")
def execute(workshop, new_watcher, tmp_path_factory):
    """Run cells through an executor in a store of its own."""

    def execute(executor, cells, **chosen):
        store, watcher = Store.open(tmp_path_factory.mktemp("store")), new_watcher()
        sources = {cell.run_id: cell for cell in cells if any(other.source == cell.run_id for other in cells)}
        runner = SuiteRunner(workshop.host, workshop.sources, store, watcher, Options("cpu", **chosen), executor)
        counts = runner.run("toy@1", cells, sources)
        assert not list(store.staging.iterdir())
        return SimpleNamespace(
            counts=counts, watcher=watcher, folder=lambda cell: store.runs_path / cell.run_id, store=store
        )

    return execute


@pytest.fixture(scope="module")
def done(place, execute, cells):
    return execute(place.make(), list(vars(cells).values()))


@pytest.fixture(scope="module")
def expected(workshop, execute, cells):
    """The same runs, each in a process of its own."""
    return execute(ProcessExecutor(workshop.starter), list(vars(cells).values()), jobs=1)


def test_every_run_ends_as_elsewhere(done, expected):
    assert done.counts == expected.counts == {"ok": 4, "failed": 1}


def test_the_numbers_are_the_same_to_the_bit(done, expected, cells):
    for cell in (cells.plain, cells.mgda, cells.source, cells.heir):
        for name in ("metrics", "predictions", "weights", "history"):
            one, other = (read_table(made.folder(cell), name) for made in (done, expected))
            assert list(one) == list(other)
            measured = one.get("quantity", np.zeros(0)) == "seconds"
            for column in one:
                kept = ~measured if measured.size else slice(None)
                np.testing.assert_array_equal(one[column][kept], other[column][kept], err_msg=f"{name} {column}")


def test_a_run_leaves_the_same_files(done, expected, cells):
    for cell in vars(cells).values():
        one, other = ({path.name for path in made.folder(cell).iterdir()} for made in (done, expected))
        assert one == other


def test_a_run_says_where_it_was_made(done, cells):
    environment = read_environment(done.folder(cells.plain))
    assert (environment["device"], environment["threads"]) == ("cpu", 1)
    assert environment["git"] == read_environment(done.folder(cells.mgda))["git"]
    assert "rmtl-bench" in environment["distributions"]


def test_several_seeds_in_one_request_are_told_apart_and_profiled_together(place, workshop, execute):
    cells = [workshop.cell(seed) for seed in (11, 12)]
    options = {"seeds_per_pass": 2, "jobs": 1, "profile": True}
    here, there = execute(place.make(), cells, **options), execute(ProcessExecutor(workshop.starter), cells, **options)
    assert here.counts == {"ok": 2}
    assert set(here.watcher.epochs) == {cell.run_id for cell in cells}
    assert (here.folder(cells[0]) / PROFILE_FILE).is_file()
    for cell in cells:
        assert read_run(here.folder(cell)).facts["seeds_side_by_side"] == 2
        one, other = (read_table(made.folder(cell), "metrics")["value"] for made in (here, there))
        np.testing.assert_array_equal(one, other)


def test_a_run_whose_process_is_killed_is_made_again(isolated, workshop, execute, tmp_path):
    once = workshop.cell(behaviour="kill", flag=str(tmp_path / "killed"))
    always = workshop.cell(behaviour="die")
    made = execute(isolated.make(), [once, always])
    assert made.counts == {"ok": 1, "interrupted": 1}
    assert set(made.watcher.lost) == {once.run_id, always.run_id}
    assert read_run(made.folder(always)).error.startswith("the run's process was killed by SIGKILL")


def test_a_limit_of_memory_is_kept(isolated, workshop, execute):
    greedy = workshop.cell(behaviour="hog", trainer={"max_epochs": 1000, "patience": 1000})
    made = execute(isolated.make(), [greedy], limits=Limits(memory=450 << 20))
    assert made.counts == {"oom": 1}
    assert read_run(made.folder(greedy)).error.startswith("stopped: it held ")


@pytest.mark.parametrize("limits", [Limits(seconds=1.0), Limits(memory=1)], ids=["time", "memory"])
def test_limits_that_cannot_be_kept_are_refused(workshop, cells, limits):
    executor = InlineExecutor()
    with pytest.raises(UsageError, match="executor 'inline' cannot keep --"):
        executor.open(workshop.job(cells.plain, limits=limits), lambda *_: None)
