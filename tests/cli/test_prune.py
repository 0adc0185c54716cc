"""``rmtl-bench prune``, as a user types it."""

from __future__ import annotations

from rmtl_bench.store import Store


def test_what_can_go_is_shown_and_goes_with_yes(rmtl_bench, tmp_path, publish_cell):
    store = Store.open(tmp_path / "store")
    run = publish_cell(store, "equal", 0, "failed", "no").run_id
    publish_cell(store, "equal", 0)
    (store.staging / f"{run}-dead").mkdir()
    shown = rmtl_bench("prune", "--store", store.path)
    assert (shown.returncode, shown.stderr) == (0, "")
    first, second, last = shown.stdout.splitlines()
    assert first.endswith(f" kB  runs/{run}  attempt 1: superseded by attempt 2, which ended well")
    assert second.endswith(f"staging/{run}-dead  left by a process that is dead")
    assert last.startswith("2 would go, ")
    assert last.endswith("; --yes removes them")
    assert [folder.attempt for folder in store.runs()] == [1, 2]
    done = rmtl_bench("prune", "--store", store.path, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 removed, ")
    assert [folder.attempt for folder in store.runs()] == [2]
    assert rmtl_bench("prune", "--store", store.path).stdout == "0 would go, 0 kB\n"
    checked = rmtl_bench("db", "check", "--store", store.path)
    assert (checked.returncode, checked.stdout) == (0, "1 run folders and 0 plans examined; nothing damaged\n")


def test_a_run_that_a_command_makes_is_left_with_a_warning(rmtl_bench, tmp_path, publish_cell):
    store = Store.open(tmp_path / "store")
    run = publish_cell(store, "equal", 0, "failed", "no").run_id
    publish_cell(store, "equal", 0)
    assert store.claim(run)
    done = rmtl_bench("prune", "--store", store.path, "--yes")
    assert (done.returncode, done.stdout) == (0, "0 removed, 0 kB\n")
    assert done.stderr == f"warning: left, since a command makes this run: {store.runs_path / run}\n"


def test_without_plans_nothing_is_in_none(rmtl_bench, tmp_path, publish_cell):
    store = Store.open(tmp_path / "store")
    publish_cell(store, "equal", 0)
    refused = rmtl_bench("prune", "--not-in-plans", "--store", store.path)
    assert (refused.returncode, refused.stdout) == (5, "")
    assert "keeps no plan, so every run would go" in refused.stderr
