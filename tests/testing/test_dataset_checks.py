"""Every check of data sets finds the data set that breaks it."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
import torch

from rmtl_bench.testing import checks_of, find_subjects, run_check
from rmtl_bench.testing.checks import run_checks

WRONG = [
    ("no-data-set", "target-is-a-data-set", "makes a NoDataset; let the class derive from Dataset"),
    ("says-not-where", "missing-raw-files-are-named", "the error is 'the files are missing'; let it name the folder"),
    (
        "stumbles-over-nothing",
        "missing-raw-files-are-named",
        "of an empty folder raised FileNotFoundError: .*; raise a D",
    ),
    ("names-what-is-not-there", "missing-raw-files-are-named", "names 'seed.txt', which is no file; raise a DataError"),
    ("needless-source", "missing-raw-files-are-named", "has a source; return the raw files there, or describe no"),
    ("no-licence", "licence-size-and-source-are-described", "no licence; say the licence of the data"),
    ("no-size", "licence-size-and-source-are-described", "no size; say the size of the data"),
    ("no-source", "licence-size-and-source-are-described", "needs raw files, and the description has no source; say"),
    ("no-table", "table-keeps-every-promise", "returns a dict; return a SessionTable"),
    ("fails-to-build", "table-keeps-every-promise", "it raised RuntimeError: no table today"),
    ("ids-beyond-the-size", "table-keeps-every-promise", "'item' has id .* in row .*; size is 5; mend the table"),
    ("of-the-moment", "same-table-twice", "numerical differs from one build to the next; draw from a generator of"),
    ("of-numpy", "same-table-twice", "numerical differs .* but not where the global generators start at the same"),
    ("seeds-numpy", "same-table-twice", "moves the global generator of NumPy; draw from a generator of its own"),
    ("keeps-its-scratch", "same-table-twice", "scratch gone, raised FileNotFoundError: .*; keep nothing from one b"),
    ("reads-more", "raw-files-are-all-that-is-read", "raised FileNotFoundError: .*more.txt.*; let raw_files.. return"),
    ("looks-around", "raw-files-are-all-that-is-read", "notes differs where there are the files of raw_files.. alone"),
    ("names-others-each-time", "fingerprint-is-stable", "differs from one time to the next; let raw_files.. return"),
    ("litters", "nothing-is-written-outside-scratch", "leaves or changes left.txt in the current folder; write into"),
    (
        "unpacks-beside-its-files",
        "nothing-is-written-outside-scratch",
        "unpacked.txt in the folder of raw files; write",
    ),
    ("leaves-temporary-files", "nothing-is-written-outside-scratch", "left-.* in the folder of temporary files; write"),
    ("modest", "capabilities-are-those-of-the-table", "has a task with a parent, and .* not provide 'parent-task'; p"),
    (
        "keeps-its-probabilities",
        "capabilities-are-those-of-the-table",
        "has no true probabilities, and .* 'optimum'; do",
    ),
    ("like-a-backbone", "capabilities-are-those-of-the-table", "'shared-parameters', which only a backbone has; do"),
    ("no-positives", "every-split-has-both-labels", "'task-1' has 300 known labels in 'valid', 0 of them 1; split"),
    (
        "number-of-the-label",
        "no-feature-is-a-label",
        "number 'number' alone tells the label of task 'task-0' .*; leave",
    ),
    ("field-of-the-label", "no-feature-is-a-label", "field 'bought' alone tells the label of task 'task-1' .*; leave"),
    ("new-ids-in-the-test", "unknown-values-have-id-0", "20.0% of the test rows have ids of field 'item'.*; make the"),
    ("halved-probabilities", "true-probabilities-are-true", "should have a 1 of task 'task-0', and .* have one; let"),
    ("timid-probabilities", "true-probabilities-are-true", "should have a 1 of task 'task-0', and .* have one; let"),
    ("shuffled-features", "something-can-be-learnt", "an AUC of 'task-0' .*, which may be chance; look whether"),
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    (folder / "seeds").mkdir()
    (folder / "seeds" / "seed.txt").write_text("5")
    (folder / "seeds" / "more.txt").write_text("something else")
    return folder


@pytest.fixture(scope="module")
def subject_called(host_of, data_dir):
    def find(name, folder=data_dir):
        return find_subjects(host_of("wrong_datasets.py"), name, "dataset", data_dir=folder)[0]

    return find


def test_a_right_data_set_passes(subject_called):
    found = {finding.check: finding.state for finding in run_checks(subject_called("right-from-files"))}
    assert found.pop("listing-imports-no-torch") == "not applicable"
    assert set(found.values()) == {"ok"}


def test_what_asks_for_raw_files_does_not_apply_to_one_that_needs_none(subject_called):
    found = {finding.check: finding.state for finding in run_checks(subject_called("right", None))}
    assert {name for name, state in found.items() if state == "not applicable"} == {
        "listing-imports-no-torch",
        "missing-raw-files-are-named",
        "raw-files-are-all-that-is-read",
    }
    assert "broken" not in found.values()


def test_without_its_raw_files_a_data_set_is_not_judged(subject_called, tmp_path):
    for folder, said in ((None, "give --data-dir"), (tmp_path, f"not in {tmp_path}")):
        subject = subject_called("right-from-files", folder)
        found = {finding.check: finding for finding in run_checks(subject)}
        assert found["missing-raw-files-are-named"].state == "ok"
        table = found["table-keeps-every-promise"]
        assert table.state == "not applicable"
        assert table.message.startswith("raw files are missing: a file is missing")
        assert table.message.endswith(said)
        assert all(finding.state != "broken" for finding in found.values())


@pytest.mark.parametrize(("name", "check", "message"), WRONG)
def test_a_wrong_data_set_is_caught_with_what_to_change(name, check, message, subject_called, find, data_dir):
    finding = find(subject_called(name), check)
    (data_dir / "unpacked.txt").unlink(missing_ok=True)
    assert finding.state == "broken", finding
    assert re.search(message, finding.message), finding.message


def test_every_check_has_a_wrong_data_set_that_it_catches():
    own = {check.name for check in checks_of("dataset") if check.function.__module__.endswith("dataset_checks")}
    assert own == {check for _, check, _ in WRONG}


def test_the_checks_leave_generators_and_the_current_folder_as_they_were(subject_called, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    for check in checks_of("dataset"):
        run_check(check, subject_called("seeds-numpy"))
    assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert not list(tmp_path.iterdir())
