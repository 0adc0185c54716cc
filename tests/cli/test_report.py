"""``rmtl-bench report``, as a user types it."""

from __future__ import annotations

import re

import pytest

from rmtl_bench.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory, publish_suite):
    store = Store.open(tmp_path_factory.mktemp("report") / "store")
    publish_suite(store, {"equal": 0.0, "mine": 0.02}, 3)
    return store.path


def test_a_report_is_one_file_and_its_size_is_told(rmtl_bench, store, tmp_path):
    output = tmp_path / "page.html"
    made = rmtl_bench("report", "--suite", "tiny", "--store", store, "--output", output)
    assert (made.returncode, made.stdout) == (0, "")
    assert re.fullmatch(rf"wrote {re.escape(str(output))} \(\d+ kB\)\n", made.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert output.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_by_default_it_is_named_after_the_suite(rmtl_bench, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = rmtl_bench("report", "--suite", "tiny", "--store", store, "--metric", "auc", "--draws", "100")
    assert made.returncode == 0, made.stderr
    text = (tmp_path / "report-tiny@1.html").read_text(encoding="utf-8")
    assert "sessions · click · auc" in text
    assert "sessions · click · logloss" not in text


def test_figures_are_written_beside_it(rmtl_bench, store, tmp_path):
    asked = ("--output", tmp_path / "r.html", "--figures", tmp_path / "figures")
    made = rmtl_bench("report", "--suite", "tiny", "--store", store, *asked)
    files = list((tmp_path / "figures").iterdir())
    assert f"wrote {len(files)} files of figures to {tmp_path / 'figures'}" in made.stderr
    assert {path.suffix for path in files} == {".svg", ".pdf"}


@pytest.mark.parametrize(
    ("asked", "said", "code"),
    [
        (("--suite", "tinny"), "did you mean 'tiny@1'", 2),
        (("--suite", "tiny", "--metric", "acu"), "unknown metric 'acu'; did you mean 'auc'", 2),
        (("--suite", "tiny", "--output", "no/such/folder.html"), "there is no folder no/such", 2),
        (("--suite", "tiny", "--draws", "5"), "--draws", 2),
        (("--suite", "tiny", "--store", "no-store"), "no-store", 5),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(rmtl_bench, store, tmp_path, monkeypatch, asked, said, code):
    monkeypatch.chdir(tmp_path)
    made = rmtl_bench("report", "--store", store, *asked)
    assert (made.returncode, made.stdout) == (code, "")
    (line,) = made.stderr.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_run_is_warned_of(rmtl_bench, tmp_path, publish_suite):
    store = Store.open(tmp_path / "store")
    plan = publish_suite(store, {"equal": 0.0}, 2)
    (store.runs_path / plan.cells[0].run_id / "run.json").write_text("{")
    made = rmtl_bench("report", "--suite", "tiny", "--store", store.path, "--output", tmp_path / "r.html")
    assert made.returncode == 0
    assert made.stderr.startswith("warning: passed over: ")
    assert "passed over: " in (tmp_path / "r.html").read_text(encoding="utf-8")
