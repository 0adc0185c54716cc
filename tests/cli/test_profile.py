"""``rmtl-bench run --profile``, as a user types it."""

from __future__ import annotations

import pytest

from rmtl_bench.store import Store
from rmtl_bench.store.profiles import read_profile
from rmtl_bench.store.run_files import read_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stores(rmtl_bench, toy_plugin, toy_suite, tmp_path_factory):
    """The toy suite in a store with profiles and in one without, and what the first command said."""
    folder = tmp_path_factory.mktemp("profile")
    toy = ("run", "--suite", toy_suite, "--plugin", toy_plugin, "--store")
    said = rmtl_bench(*toy, folder / "profiled", "--profile")
    assert (said.returncode, said.stdout) == (0, ""), said.stderr
    assert rmtl_bench(*toy, folder / "plain").returncode == 0
    return Store.open(folder / "profiled"), Store.open(folder / "plain"), said.stderr


@pytest.mark.parametrize("name", ["metrics", "predictions", "weights"])
def test_a_profiled_run_has_the_same_numbers_to_the_bit(stores, name):
    profiled, plain, _ = stores
    runs = list(plain.runs())
    assert len(runs) == 6
    for run in runs:
        one, other = read_table(run.path, name), read_table(profiled.runs_path / run.path.name, name)
        assert one.keys() == other.keys()
        assert all(one[column].tobytes() == other[column].tobytes() for column in one if one[column].dtype != object)
        assert all(list(one[column]) == list(other[column]) for column in one)


def test_every_run_has_a_profile_and_the_command_says_where_the_time_went(stores):
    profiled, plain, said = stores
    assert all(read_profile(run.path) for run in profiled.runs())
    assert not any(read_profile(run.path) for run in plain.runs())
    assert "where the time went on toy-sessions, in % of a run" in said
    rows = [line.split() for line in said.splitlines() if line.startswith("  toy-logistic/")]
    assert [row[:2] for row in rows] == [["toy-logistic/toy-equal", "3"], ["toy-logistic/toy-mgda", "3"]]
    for row in rows:
        assert sum(map(float, row[3:])) == pytest.approx(100, abs=0.5)
    assert "trace.json.gz in each run's folder" in " ".join(said.split())


def test_a_store_with_profiles_is_read_as_any_other(rmtl_bench, stores):
    store = stores[0]
    assert rmtl_bench("db", "rebuild", "--store", store.path).stdout == "6 runs indexed\n"
    for command in (
        ("leaderboard", "--suite", "toy"),
        ("status", "--suite", "toy"),
        ("show", next(store.runs()).run_id),
    ):
        shown = rmtl_bench(*command, "--store", store.path)
        assert (shown.returncode, shown.stderr) == (0, "")
    assert "where the time went" in shown.stdout
