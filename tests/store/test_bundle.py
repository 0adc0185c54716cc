"""A store as one archive or folder, and back."""

from __future__ import annotations

import io
import tarfile

import pytest

from rmtl_bench.contracts.errors import StoreError, UsageError
from rmtl_bench.store import PlannedCell, Store, StoredPlan, save_plan
from rmtl_bench.store.bundle import export_store, opened, selection_of
from rmtl_bench.store.check import check_store
from rmtl_bench.store.merge import Selection, merge
from rmtl_bench.store.run_files import write_predictions

ALL = Selection()


@pytest.fixture
def full(store, publish, stage):
    """A store of two suites: one of seed 0, which has two attempts and predictions, and one of seeds 1 and 2."""
    publish(store, 0, "failed")
    staging = stage(store, 0)
    write_predictions(staging, {"row": [0], "session": [0], "label_click": [1.0], "score_click": [0.5]})
    first = store.publish(staging, staging.name.partition("-")[0]).name.partition(".")[0]
    others = [publish(store, seed).name for seed in (1, 2)]
    for suite, runs in (("first", [first]), ("second", others)):
        cells = tuple(PlannedCell(run, "toy", "mmoe", "fixed", seed) for seed, run in enumerate(runs))
        save_plan(store, StoredPlan(suite, 1, "d", cells))
    return store


def contents(store):
    folders = (store.runs_path, store.suites)
    return {p.relative_to(store.path): p.read_bytes() for f in folders for p in f.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["store.tar.gz", "store.tgz", "store.tar", "folder"])
def test_a_store_comes_back_as_it_was(full, tmp_path, name):
    target = tmp_path / name
    done = export_store(full, target, ALL)
    assert (done.runs, done.attempts, done.plans, done.problems) == (3, 1, ("first@1", "second@1"), ())
    back = Store.open(tmp_path / "back")
    with opened(target) as source:
        merge(back, source)
    assert contents(back) == contents(full)
    assert check_store(back).findings == ()
    assert {path.name for path in tmp_path.iterdir()} == {"store", name, "back"}


def test_the_same_runs_make_the_same_bytes(full, tmp_path):
    for name in ("a.tar.gz", "b.tar.gz"):
        export_store(full, tmp_path / name, ALL)
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()


@pytest.mark.parametrize("name", ["store.tgz", "folder"])
def test_a_suite_is_written_without_predictions(full, tmp_path, name):
    export_store(full, tmp_path / name, selection_of(full, ["first"], predictions=False))
    back = Store.open(tmp_path / "back")
    with opened(tmp_path / name) as source:
        merge(back, source)
    assert [folder.attempt for folder in back.runs()] == [1, 2]
    assert [path.name for path in back.suites.iterdir()] == ["first@1.json"]
    assert not list(back.runs_path.rglob("predictions.parquet"))
    assert check_store(back).findings == ()


def test_a_suite_that_is_not_there_is_named_and_the_near_ones_too(full):
    with pytest.raises(UsageError, match=r"suite 'frist' has not been run in .*did you mean 'first@1'"):
        selection_of(full, ["frist"])


def test_what_is_broken_is_left_out_and_told(full, tmp_path):
    broken = next(full.runs()).path
    (broken / "run.json").write_text("{")
    done = export_store(full, tmp_path / "store.tgz", ALL)
    assert [problem.path for problem in done.problems] == [broken]
    with tarfile.open(tmp_path / "store.tgz") as archive:
        assert not any(name.startswith(f"runs/{broken.name}/") for name in archive.getnames())


@pytest.mark.parametrize("name", ["there.tgz", "there", "x.zip", "x.rar"])
def test_a_target_that_cannot_be_is_refused(full, tmp_path, name):
    (tmp_path / "there.tgz").touch()
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    with pytest.raises(StoreError, match=r"exists; name a new|an archive is called"):
        export_store(full, tmp_path / name, ALL)


def test_an_archive_is_unpacked_where_it_is_merged_and_nothing_is_left(full, tmp_path):
    export_store(full, tmp_path / "store.tgz", ALL)
    into = Store.open(tmp_path / "into")
    with opened(tmp_path / "store.tgz", into) as source:
        assert source.path.is_relative_to(into.staging)
        assert Store.open(into.path).clean_staging() == []
        assert merge(into, source).runs == 3
    assert list(into.staging.iterdir()) == []


def test_a_failure_leaves_no_archive(full, tmp_path):
    with pytest.raises(StoreError, match="cannot be written: No such file or directory"):
        export_store(full, tmp_path / "nowhere" / "store.tgz", ALL)
    assert {path.name for path in tmp_path.iterdir()} == {"store"}


def archive(path, members):
    with tarfile.open(path, "w:gz") as file:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                member.size = len(content)
            file.addfile(member, io.BytesIO(content or b""))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"FORMAT": b"2\n", "../out": b"x"}, "leads out of the folder"),
        ({"FORMAT": b"2\n", "/out": b"x"}, "leads out of the folder"),
        ({"FORMAT": b"2\n", "runs/link": None}, "is a link or a device"),
        ({"FORMAT": b"9\n"}, "is a store of format '9'"),
        ({"notes.txt": b"x"}, "holds no store"),
        ({}, "holds no file"),
    ],
)
def test_an_archive_that_is_hostile_or_no_store_is_refused(tmp_path, members, said):
    archive(tmp_path / "strange.tar.gz", members)
    with pytest.raises(StoreError, match=said), opened(tmp_path / "strange.tar.gz"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"strange.tar.gz"}


def test_an_archive_that_is_cut_short_is_refused(full, tmp_path):
    export_store(full, tmp_path / "store.tgz", ALL)
    content = (tmp_path / "store.tgz").read_bytes()
    (tmp_path / "store.tgz").write_bytes(content[:-200])
    with pytest.raises(StoreError, match="not a whole archive"), opened(tmp_path / "store.tgz"):
        pass


def test_a_store_that_somebody_packed_with_its_folder_is_found(full, tmp_path):
    with tarfile.open(tmp_path / "packed.tar.gz", "w:gz") as file:
        file.add(full.path, "results")
    with opened(tmp_path / "packed.tar.gz") as source:
        assert len(list(source.runs())) == 4


def test_a_file_that_is_none_is_named(tmp_path):
    (tmp_path / "notes.txt").touch()
    with (
        pytest.raises(StoreError, match=r"notes\.txt is neither a store nor an archive"),
        opened(tmp_path / "notes.txt"),
    ):
        pass
    with pytest.raises(StoreError, match="there is no store at"), opened(tmp_path / "nowhere"):
        pass
