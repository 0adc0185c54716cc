"""``rmtl-bench merge`` and ``db export``, as a user types them."""

from __future__ import annotations

import pytest

from rmtl_bench.store import Index, Store


@pytest.fixture
def stores(tmp_path, publish_cell, plan_cells):
    """A store of a suite of two runs, and another that has one of them and a run of its own, but no plan."""
    full, other = Store.open(tmp_path / "full"), Store.open(tmp_path / "other")
    plan_cells(full, [publish_cell(full, "equal", seed) for seed in range(2)])
    publish_cell(other, "equal", 0)
    publish_cell(other, "equal", 2)
    return full, other


def test_a_store_is_packed_and_merged_elsewhere(rmtl_bench, stores, tmp_path):
    full, other = stores
    packed = rmtl_bench("db", "export", tmp_path / "full.tar.gz", "--suite", "tiny", "--store", full.path)
    assert (packed.returncode, packed.stderr) == (0, "")
    assert packed.stdout == f"2 run folders and 1 plans written to {tmp_path / 'full.tar.gz'}\n"
    command = ("merge", tmp_path / "full.tar.gz", "--store", other.path)
    looked = rmtl_bench(*command, "--dry-run")
    assert looked.stdout.splitlines() == [
        "plan tiny@1 would be copied",
        "1 runs and 0 further attempts would be copied; 1 were there already",
    ]
    assert len(list(other.runs())) == 2
    merged = rmtl_bench(*command)
    assert (merged.returncode, merged.stderr) == (0, "")
    assert merged.stdout == looked.stdout.replace("would be copied", "copied")
    assert rmtl_bench(*command).stdout == "0 runs and 0 further attempts copied; 2 were there already\n"
    assert len(Index(other).latest()) == 3
    scores = rmtl_bench("export", "--suite", "tiny", "--output", "-", "--store", other.path)
    assert scores.stderr == "tiny@1: 4 scores of 2 runs\n"


def test_merging_makes_the_store_if_there_is_none(rmtl_bench, stores, tmp_path):
    full, _ = stores
    new = tmp_path / "new"
    assert rmtl_bench("merge", full.path, "--store", new, "--dry-run").returncode == 0
    assert not new.exists()
    assert rmtl_bench("merge", full.path, "--store", new).returncode == 0
    assert len(list(Store.open(new, create=False).runs())) == 2


def test_what_is_broken_is_a_warning(rmtl_bench, stores):
    full, other = stores
    broken = next(full.runs()).path / "run.json"
    broken.write_text("\x1b[2J")
    merged = rmtl_bench("merge", full.path, "--store", other.path)
    assert merged.returncode == 0
    assert merged.stdout.endswith("; 1 passed over\n")
    (line,) = merged.stderr.splitlines()
    assert line.startswith(f"warning: passed over: {broken} is no record of a run")
    assert "\x1b" not in line


@pytest.mark.parametrize("case", ["itself", "nothing", "no store", "newer"])
def test_what_cannot_be_merged_is_one_line(rmtl_bench, stores, tmp_path, case):
    full, other = stores
    if case == "newer":
        (other.path / "FORMAT").write_text("9\n")
    (tmp_path / "file").touch()
    given = {"itself": full.path, "nothing": "nowhere", "no store": tmp_path / "file", "newer": other.path}[case]
    refused = rmtl_bench("merge", given, "--store", full.path)
    assert (refused.returncode, refused.stdout) == (5, "")
    (line,) = refused.stderr.splitlines()
    said = {
        "itself": "is the store itself",
        "nothing": "there is no store at",
        "no store": "is neither a store nor an archive of one",
        "newer": "is a store of format '9'",
    }
    assert said[case] in line
