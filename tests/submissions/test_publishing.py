"""What ``rmtl-bench submit`` writes, and each thing that it refuses."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rmtl_bench.contracts.catalogue import WeightingInfo
from rmtl_bench.contracts.cell import Cell
from rmtl_bench.contracts.errors import DataError, RmtlBenchError, StoreError, UsageError
from rmtl_bench.plugins.registry import Origin, Registry
from rmtl_bench.submissions import Attribution, build, page, publish, read_submission, verify_file, verify_folder

if TYPE_CHECKING:
    from tests.submissions.conftest import World

CLEAN = {"git": "a" * 40, "python": "3.11.7", "distributions": {"d": "1", "numpy": "2.4.6", "unrelated": "3"}}


def test_a_submission_holds_every_seed_of_every_cell(world: World) -> None:
    cells = world.run()
    path = world.submit(link="https://example.org/paper")
    assert path == world.output / "tiny@1" / "first.json"
    data = json.loads(path.read_text())
    assert [run["run_id"] for cell in data["cells"] for run in cell["runs"]] == [
        cell.run_id for weighting in ("equal", "better") for cell in cells if cell.weighting.label == weighting
    ]
    auc = data["cells"][1]["scores"][0]
    assert (auc["metric"], auc["n"]) == ("auc", 3)
    assert auc["values"] == pytest.approx([0.75, 0.751, 0.752], abs=1e-12)
    assert auc["mean"] == pytest.approx(0.751, abs=1e-12)
    assert data["control"] == {"sessions": ["auc"]}
    assert data["environments"] == [{**CLEAN, "distributions": {"d": "1", "numpy": "2.4.6"}}]


def test_what_is_written_verifies_and_reads_back_as_it_was(world: World) -> None:
    world.run()
    path = world.submit()
    verified = verify_file(path, world.registry, in_folder=True)
    assert (verified.faults, verified.notes) == ((), ())
    assert read_submission(path).computed_digest() == json.loads(path.read_text())["digest"]


def test_methods_can_be_chosen(world: World) -> None:
    world.run(failed=[("equal", 1)])
    assert read_submission(world.submit(methods=["*/bet*"])).methods == ("ple/better",)
    with pytest.raises(UsageError, match=r"--methods 'better' matches no method of tiny@1.*did you mean"):
        world.submit("second", methods=["better"])


def test_a_sample_has_a_folder_of_its_own(world: World) -> None:
    world.run(sample=True)
    assert world.submit(sample=True) == world.output / "tiny@1-sample" / "first.json"


def test_a_suite_without_a_known_optimum_says_so(world: World) -> None:
    world.run(gap=None)
    made = build(world.store, "tiny", Attribution("first", "A. Author"))
    path = publish(made, world.registry_without_optimum(), world.output)
    assert json.loads(path.read_text())["control"] == "none"


def _other_data(cell: Cell) -> Cell:
    return replace(cell, fingerprint="f" * 16) if cell.weighting.label == "better" else cell


def _other_data_of_a_seed(cell: Cell) -> Cell:
    return replace(cell, fingerprint="f" * 16) if cell.seed == 1 else cell


def _other_width(cell: Cell) -> Cell:
    return replace(cell, backbone=replace(cell.backbone, parameters={"width": 5}))


def _from_a_file(cell: Cell) -> Cell:
    weighting = replace(cell.weighting, distribution="mine.py", distribution_version="0123456789ab")
    return replace(cell, weighting=weighting)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({"missing": [("better", 2)]}, "sessions/ple/better lacks the run of seed 2; rmtl-bench run --suite tiny@1"),
        ({"failed": [("equal", 1)]}, "sessions/ple/equal, seed 1: the run ended as failed; .* --retry all"),
        ({"undefined": [("equal", 1)]}, "sessions/ple/equal, click, auc: seed 1 has no value"),
        ({"environment": {**CLEAN, "git": "b" * 40 + "+"}}, "commit bbbbbbbbbbbb with uncommitted changes"),
        ({"environment": {**CLEAN, "distributions": {}}}, "'sessions' is from d 1, and .* does not list it"),
        ({"environment": {**CLEAN, "distributions": {"d": "2"}}}, "'sessions' is from d 1, and .* lists version 2"),
        ({"change": _from_a_file}, "'equal' is from the one-file plugin mine.py, which is not in the submission"),
        ({"change": _other_data}, "two states of the data sessions"),
        ({"change": _other_data_of_a_seed}, "mixes runs of the states 0123456789abcdef, ffffffffffffffff"),
        ({"change": _other_width}, "backbone: width is 5; the suite has 8"),
        ({"auc": 0.95, "gap": -0.2}, "0.95100 is better than the optimum 0.75100 by more than noise"),
        ({"auc": 0.4, "gap": 0.4}, "0.40100 is worse than predicting the base rate, 0.50000"),
        ({"gap": None}, "no auc-gap, though the optimum of sessions is known"),
    ],
)
def test_what_is_no_whole_clean_result_is_refused_in_a_line(world: World, runs: dict[str, Any], message: str) -> None:
    world.run(**runs)
    with pytest.raises(DataError, match=message) as refused:
        world.submit()
    assert "\n" not in str(refused.value)
    assert not world.output.exists()


def test_a_plan_with_a_seed_twice_or_too_few_is_refused(world: World) -> None:
    world.run()
    plan = world.plan()
    world.keep(replace(plan, cells=(*plan.cells, plan.cells[0])))
    with pytest.raises(DataError, match="sessions/ple/equal is planned twice with seed 0"):
        world.submit()
    world.keep(replace(plan, cells=plan.cells[:-1]))
    with pytest.raises(DataError, match="sessions/ple/better is planned without seed 2; the suite has 0, 1, 2"):
        world.submit()


def test_fewer_seeds_than_the_suite_has_are_refused(world: World) -> None:
    world.run()
    plan = world.plan()
    world.keep(replace(plan, cells=tuple(cell for cell in plan.cells if cell.seed < 2)))
    with pytest.raises(DataError, match="2 seeds; tiny@1 has 3"):
        world.submit()


def test_another_suite_file_than_the_installed_one_is_refused(world: World) -> None:
    world.run()
    world.suite_file.write_text(world.suite_file.read_text() + "\n# changed\n")
    with pytest.raises(DataError, match=r"is of another file; tiny@1 has [0-9a-f]{16}"):
        world.submit()


def test_a_suite_that_nobody_ships_is_submitted_with_its_file_alone(world: World) -> None:
    world.run()
    submission = build(world.store, "tiny", Attribution("first", "A. Author"))
    with pytest.raises(UsageError, match="suite 'tiny@1' is not installed"):
        publish(submission, Registry(), world.output)
    assert publish(submission, Registry(), world.output, suite=world.suite()).is_file()


def test_a_one_file_plugin_goes_into_the_submission(world: World, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("# a plugin\nNAME = 'ü'\n", encoding="utf-8")
    version = hashlib.sha256(file.read_bytes()).hexdigest()[:12]

    def of_the_file(cell: Cell) -> Cell:
        return replace(cell, weighting=replace(cell.weighting, distribution="mine.py", distribution_version=version))

    world.run(change=of_the_file)
    made = build(world.store, "tiny", Attribution("first", "A. Author"), plugin_files=[file])
    assert made.plugins == {"mine.py": ("# a plugin", "NAME = 'ü'", "")}
    registry = Registry()
    assert publish(made, registry, world.output, suite=world.suite()).is_file()
    file.write_text("# another\n")
    made = build(world.store, "tiny", Attribution("second", "A. Author"), plugin_files=[file])
    with pytest.raises(DataError, match=f"the file mine.py, here of version .*; the runs had .* version {version}"):
        publish(made, registry, world.output, suite=world.suite())


def test_a_run_that_was_changed_after_it_was_published_is_refused(world: World) -> None:
    cell = world.run()[0]
    with (world.store.runs_path / cell.run_id / "run.json").open("a") as file:
        file.write(" ")
    with pytest.raises(StoreError, match="is not as it was published"):
        world.submit()


def test_a_name_that_is_taken_is_replaced_only_if_asked(world: World) -> None:
    world.run()
    path = world.submit(by="A")
    with pytest.raises(UsageError, match=r"first\.json is there already; choose another --name, or .*--replace"):
        world.submit(by="B")
    assert read_submission(path).by == "A"
    assert read_submission(world.submit(by="B", replace=True)).by == "B"
    with pytest.raises(UsageError, match="is there already"):
        world.submit("FIRST", replace=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "../first"}, "--name '../first'; it takes up to 100 letters"),
        ({"by": " "}, "--by ' '; it takes who submits"),
        ({"by": "A\x1b[31m"}, "--by"),
        ({"link": "javascript:alert(1)"}, "--link 'javascript:alert"),
        ({"link": "https://user:word@example.org"}, "--link"),
        ({"link": "https://example.org/)<script>"}, "--link"),
        ({"tag": "best"}, "--tag 'best'; it takes one of self-reported, reproduced"),
    ],
)
def test_names_and_links_that_cannot_stand_in_a_page_are_refused(
    submitted: Path, installed: Registry, tmp_path: Path, given: dict[str, str], message: str
) -> None:
    submission = replace(read_submission(submitted), **given)
    with pytest.raises(UsageError, match=message):
        publish(replace(submission, digest=submission.computed_digest()), installed, tmp_path / "output")
    assert not (tmp_path / "output").exists()


def test_nothing_is_left_where_nothing_can_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run()
    made = build(world.store, "tiny", Attribution("first", "A. Author"))

    def full(path: Path, target: Path) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageError, match="cannot be written: No space left"):
        publish(made, world.registry, world.output)
    assert not list(world.output.rglob("*"))
    world.output.rmdir()
    world.output.write_text("a file")
    with pytest.raises(RmtlBenchError, match="cannot be written"):
        publish(made, world.registry, world.output)


def test_a_method_that_was_added_to_a_suite_stands_on_its_board(world: World, installed: Registry) -> None:
    world.run()
    world.submit()
    world.registry.add("weighting", WeightingInfo(name="mine", target="m:W", summary="mine"), Origin("d", "1"))
    world.run(suite="tiny+mine")
    path = world.submit("second", suite="tiny+mine", methods=["*/mine", "*/equal"])
    assert path == world.output / "tiny@1" / "second.json"
    assert [one.faults for one in verify_folder(world.output, world.registry)] == [(), ()]
    elsewhere = verify_file(path, installed)
    assert not elsewhere.faults
    assert elsewhere.notes == ("what was added to tiny@1 is not installed: its parameters are as the file says",)
    text = page(world.output, installed)
    assert "- second: weighting mine added to tiny@1" in text
    assert "| ple/mine " in text
