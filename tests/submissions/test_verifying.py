"""What ``rmtl-bench verify`` finds in a file that somebody changed, or that is none."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.plugins.registry import Registry
from rmtl_bench.submissions import verify_file, verify_folder
from rmtl_bench.submissions.form import LARGEST, as_text, read_submission

if TYPE_CHECKING:
    from tests.submissions.conftest import World

Falsify = Callable[..., Path]
Edit = Callable[[dict[str, Any]], object]


def _set(*keys: str | int, to: Any) -> Edit:
    def edit(data: dict[str, Any]) -> None:
        place: Any = data
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return edit


def _found(path: Path, registry: Registry | None = None) -> dict[str, str]:
    return {fault.key: fault.problem for fault in verify_file(path, registry or Registry()).faults}


def _without_last_seed(data: dict[str, Any]) -> None:
    for cell in data["cells"]:
        del cell["runs"][-1]
        for score in cell["scores"]:
            del score["values"][-1]
            score.update(n=2, mean=sum(score["values"]) / 2)


def _seed_twice(data: dict[str, Any]) -> None:
    data["cells"][0]["runs"][2] = data["cells"][0]["runs"][1]


def _without_gaps(data: dict[str, Any]) -> None:
    for cell in data["cells"]:
        cell["scores"] = [score for score in cell["scores"] if not score["metric"].endswith("-gap")]
    data["control"] = "none"


def _beyond_the_optimum(data: dict[str, Any]) -> None:
    for score in data["cells"][0]["scores"]:
        if score["metric"] == "auc-gap":
            score.update(values=[-0.1] * 3, mean=-0.1)


FALSE = {
    "changed score": (_set("cells", 0, "scores", 0, "values", 1, to=0.99), "cells[0].scores[0].mean", "the mean of"),
    "changed mean": (_set("cells", 1, "scores", 0, "mean", to=0.99), "cells[1].scores[0].mean", "0.99; the mean of"),
    "changed count": (_set("cells", 1, "scores", 0, "n", to=5), "cells[1].scores[0].n", "5; there are 3 values"),
    "no value for a seed": (_set("cells", 0, "scores", 0, "values", 1, to=None), "cells[0].scores[0].values", "some"),
    "changed seed": (_set("cells", 0, "runs", 1, "seed", to=7), "cells[0].runs[1].run_id", "is not that of its cell"),
    "foreign seed": (_set("cells", 0, "runs", 1, "seed", to=7), "cells[0].runs", "seed 7 is none of the suite"),
    "seed twice": (_seed_twice, "cells[0].runs", "seed 2 is missing"),
    "missing seed": (_without_last_seed, "cells[1].runs", "seed 2 is missing; the suite has 3 seeds"),
    "another run": (_set("cells", 0, "runs", 1, "run_id", to="0" * 16), "cells[0].runs[1].run_id", "0000000000000000"),
    "another width": (_set("cells", 0, "backbone", "parameters", "width", to=9), "cells[0].runs[0].run_id", "is not"),
    "another state": (_set("cells", 1, "fingerprint", to="f" * 16), "cells[1].fingerprint", "two states of the data"),
    "other metrics": (_set("cells", 0, "metrics", to=["auc"]), "cells[0].metrics", "auc; the suite has auc, logloss"),
    "missing metric": (
        lambda d: d["cells"][0]["scores"].pop(1),
        "cells[0].scores",
        "click: no logloss, which the suite",
    ),
    "missing cell": (lambda d: d["cells"].pop(), "cells", "sessions/ple/better is planned and missing"),
    "cell twice": (lambda d: d["cells"].append(d["cells"][0]), "cells", "sessions/ple/equal stands there twice"),
    "above the optimum": (_beyond_the_optimum, "cells[0].scores", "is better than the optimum 0.60100"),
    "no control": (_set("control", to="none"), "control", "none; the scores say {'sessions': ('auc',)}"),
    "uncommitted": (_set("environments", 0, "git", to="b" * 40 + "+"), "environments[0]", "uncommitted changes"),
    "other version": (_set("environments", 0, "distributions", "d", to="2"), "environments[0]", "lists version 2"),
    "script": (_set("link", to="javascript:alert(1)"), "link", "an address that begins with https://"),
    "path": (_set("name", to="../../first"), "name", "is not the name of the file"),
    "nobody": (_set("by", to=" "), "by", "it takes who submits"),
    "tag": (_set("tag", to="best"), "tag", "it takes one of self-reported, reproduced"),
    "suite": (_set("suite", "suite", to="../tiny"), "suite", "is no name of a suite"),
    "scope": (_set("suite", "statistics", "scope", to="any"), "suite.statistics", "unknown scope 'any'"),
    "later ids": (_set("identity", to=99), "identity", "99 is of a later rmtl-bench"),
    "stray plugin": (_set("plugins", to={"mine.py": [""]}), "plugins.mine.py", "no cell came from it"),
}


@pytest.mark.parametrize(("edit", "key", "problem"), FALSE.values(), ids=list(FALSE))
def test_a_false_submission_is_found_by_its_file_alone(
    submitted: Path, falsify: Falsify, edit: Edit, key: str, problem: str
) -> None:
    assert problem in _found(falsify(submitted, edit))[key]


def test_a_change_that_keeps_the_digest_is_found(submitted: Path, falsify: Falsify) -> None:
    edit = _set("cells", 0, "scores", 1, "values", 1, to=0.7)
    assert "is not that of the content" in _found(falsify(submitted, edit, redigest=False))["digest"]


AGAINST = {
    "fewer seeds": (
        lambda d: (_without_last_seed(d), d["suite"].update(seeds=2)),
        "suite.seeds",
        "2 seeds; tiny@1 (sample) has 3",
    ),
    "digest": (_set("suite", "digest", to="0" * 16), "suite.digest", "0000000000000000 is of another file; tiny@1"),
    "title": (_set("suite", "title", to="Another"), "suite.title", "not what tiny@1 says"),
    "looser": (_set("suite", "statistics", "equivalence", "auc", to=0.1), "suite.statistics", "not what tiny@1"),
    "width": (_set("cells", 0, "backbone", "parameters", "width", to=9), "cells[0]", "width is 9; the suite has 8"),
    "trainer": (_set("cells", 0, "trainer", "max_epochs", to=99), "cells[0]", "trainer: max_epochs is 99; the suite"),
    "not said": (_set("cells", 0, "backbone", "parameters", to={}), "cells[0]", "width is nothing; the suite has 8"),
    "method": (_set("cells", 0, "weighting", "label", to="best"), "cells[0]", "has no cell sessions/ple/best"),
    "plugin": (_set("cells", 0, "weighting", "name", to="best"), "cells[0]", "weighting.name is 'best'; the suite"),
    "no gaps": (_without_gaps, "cells[0]", "no logloss-gap, though the optimum of sessions is known"),
}


@pytest.mark.parametrize(("edit", "key", "problem"), AGAINST.values(), ids=list(AGAINST))
def test_what_contradicts_the_installed_suite_is_found(
    submitted: Path, installed: Registry, falsify: Falsify, edit: Edit, key: str, problem: str
) -> None:
    assert problem.replace(" (sample)", "") in _found(falsify(submitted, edit), installed)[key]


def test_a_submission_of_older_versions_stands_beside_a_newer_suite(
    submitted: Path, installed: Registry, falsify: Falsify
) -> None:
    def older(data: dict[str, Any]) -> None:
        data["environments"][0]["distributions"]["d"] = "0.9"
        for cell in data["cells"]:
            for kind in ("dataset", "backbone", "weighting"):
                cell[kind]["distribution_version"] = "0.9"
                # Another default; the suite gives the backbone's width alone.
                if kind != "backbone":
                    cell[kind]["parameters"] = {"gone": True, "width": 5}

    falsify(submitted, older)
    data = json.loads(submitted.read_text())
    for cell, read in zip(data["cells"], read_submission(submitted).cells, strict=True):
        for run, replicate in zip(cell["runs"], read.runs, strict=True):
            run["run_id"] = read.of_run(replicate).run_id
    falsify(submitted, lambda found: found.update(data))
    assert _found(submitted, installed) == {}


def test_without_the_suite_a_note_says_what_was_not_compared(submitted: Path) -> None:
    assert verify_file(submitted, Registry()).notes == ("tiny@1 is not installed: its cells are as the file says",)


HOSTILE = {
    "not a number": (lambda text: text.replace("0.7,", "NaN,", 1), "not finite"),
    "infinite": (lambda text: text.replace("0.7,", "1e999,", 1), "not finite"),
    "many digits": (lambda text: text.replace("0.7,", "1" * 200 + ",", 1), "a whole number of more than 64 bits"),
    "too many digits": (lambda text: text.replace("0.7,", "1" * 5000 + ",", 1), "is no submission"),
    "large": (lambda text: text.replace("0.7,", "1e200,", 1), "it takes a number up to 1e+100"),
    "nested": (lambda text: "[" * 100_000 + "]" * 100_000, "64 levels deep"),
    "a list": (lambda text: "[]", "format is None"),
    "empty": (lambda text: "", "is no submission"),
    "later format": (lambda text: text.replace('"format": 1', '"format": 2'), "submissions of format 1"),
    "key twice": (lambda text: text.replace(' "tag"', ' "by": "B. Author",\n "tag"'), "line 4 is not as rmtl-bench"),
    "unknown key": (
        lambda text: text.replace(' "tag"', ' "tga": "",\n "tag"'),
        "unknown key 'tga'; did you mean 'tag'",
    ),
    "lacking key": (lambda text: text.replace(' "identity": 2,\n', ""), "has no 'identity'"),
    "long name": (lambda text: text.replace('"first"', '"' + "x" * 1_000 + '"'), "a text of at most 300 characters"),
    "long line": (lambda text: text.replace('"plugins": {}', '"plugins": {"a.py": ["' + "x" * 9_000 + '"]}'), "2000"),
    "colours": (lambda text: text.replace('"click"', '"\\u001b[31mclick"', 1), "characters that can be seen"),
    "plugin path": (lambda text: text.replace('"plugins": {}', '"plugins": {"../a.py": []}'), "no name of a Python"),
    "environment": (lambda text: text.replace('"environment": 0', '"environment": 9', 1), "environment is 9; there"),
    "text for number": (lambda text: text.replace("0.7,", '"0.7",', 1), "it takes a number"),
    "other layout": (lambda text: json.dumps(json.loads(text)), "line 1 is not as rmtl-bench submit writes it"),
}


@pytest.mark.parametrize(("change", "problem"), HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_file_is_refused_in_a_line(submitted: Path, change: Callable[[str], str], problem: str) -> None:
    submitted.write_text(change(submitted.read_text()))
    verified = verify_file(submitted, Registry())
    assert verified.submission is None
    assert problem in str(verified.faults[0])
    assert len(str(verified.faults[0])) < 500
    assert "\n" not in str(verified.faults[0])


def test_what_is_no_regular_file_of_text_is_refused(submitted: Path) -> None:
    kept = submitted.rename(submitted.with_name("kept"))
    submitted.symlink_to(kept)
    assert "it is a link" in _found(submitted)[""]
    submitted.unlink()
    os.mkfifo(submitted)
    assert "it is no regular file" in _found(submitted)[""]
    submitted.unlink()
    submitted.write_bytes(b"\xff\xfe")
    assert "UnicodeDecodeError" in _found(submitted)[""]
    with submitted.open("wb") as file:
        file.truncate(LARGEST + 1)
    assert "it has more than 16,777,216 bytes" in _found(submitted)[""]


def test_a_file_with_line_ends_of_windows_is_the_same_file(submitted: Path) -> None:
    submitted.write_bytes(submitted.read_bytes().replace(b"\n", b"\r\n"))
    assert _found(submitted) == {}


def test_a_folder_takes_submissions_of_its_suite_alone(submitted: Path) -> None:
    root = submitted.parents[1]
    (root / "README.md").write_text("What this is.")
    assert [one.faults for one in verify_folder(root, Registry())] == [()]
    shutil.copytree(submitted.parent, root / "tiny@1-sample")
    (root / "run.sh").write_text("")
    (root / "linked").symlink_to(root.parent)
    found = {
        one.path.relative_to(root).as_posix(): list(map(str, one.faults)) for one in verify_folder(root, Registry())
    }
    stray = ["is no submission; nothing else may stand among them"]
    assert found.pop("run.sh") == found.pop("linked") == stray
    assert found.pop("tiny@1/first.json") == []
    assert found.pop("tiny@1-sample/first.json")[0].endswith("submissions to tiny@1 stand in tiny@1")
    assert not found


def test_submissions_to_a_suite_are_held_against_each_other(submitted: Path, falsify: Falsify) -> None:
    other = submitted.with_name("second.json")
    shutil.copy(submitted, other)
    falsify(other, lambda data: data.update(name="second", suite={**data["suite"], "digest": "0" * 16}))
    capitals = submitted.with_name("FIRST.json")
    shutil.copy(submitted, capitals)
    falsify(capitals, lambda data: data.update(name="FIRST"))
    first, again, second = verify_folder(submitted.parent, Registry())
    assert first.path == capitals
    assert not first.faults
    assert "is taken by" in str(again.faults[0])
    assert str(second.faults[0]).startswith("suite.digest: 0000000000000000; FIRST.json was made by a suite file of")
    digest = read_submission(submitted).suite.digest
    falsify(other, lambda data: data["suite"].update(digest=digest, title="Another"))
    assert str(verify_folder(submitted.parent, Registry())[2].faults[0]).endswith("else of the same suite file")


def test_a_folder_without_submissions_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no submission below"):
        verify_folder(tmp_path, Registry())


def test_what_is_read_is_written_the_same(submitted: Path) -> None:
    submission = read_submission(submitted)
    assert as_text(submission.to_json()) == submitted.read_text()
    assert replace(submission, digest="").computed_digest() == submission.digest


def test_the_command_line_says_a_line_each_and_ends_with_four_for_false_results(
    world: World, submitted: Path, falsify: Falsify, rmtl_bench: Callable[..., Any]
) -> None:
    good = rmtl_bench("verify", submitted.parent)
    assert (good.returncode, good.stderr) == (0, "")
    note = "tiny@1 is not installed: its cells are as the file says"
    assert good.stdout == f"{submitted}: ok: tiny@1, 2 methods, 6 runs, self-reported by A. Author; {note}\n"
    falsify(submitted, _set("cells", 0, "scores", 0, "values", 1, to=0.99))
    false = rmtl_bench("verify", "--json", submitted)
    assert (false.returncode, false.stderr) == (4, "")
    (one,) = json.loads(false.stdout)
    assert (one["file"], one["ok"]) == (str(submitted), False)
    assert "cells[0].scores[0].mean" in [fault["key"] for fault in one["faults"]]


def test_the_command_line_submits_what_verifies(world: World, rmtl_bench: Callable[..., Any]) -> None:
    world.run()
    options = ("--store", world.store.path, "--output", world.output, "--name", "mine", "--by", "A. Author")
    done = rmtl_bench("submit", "--suite", world.suite_file, *options)
    path = world.output / "tiny@1" / "mine.json"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{path} written: 2 methods, 6 runs, 3 seeds")
    assert _found(path, world.registry) == {}
    again = rmtl_bench("submit", "--suite", world.suite_file, *options)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith(f"error: {path} is there already")
