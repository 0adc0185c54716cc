from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report.page import write_report
from rmtl_bench.store import Store

SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
TRACE = f"Traceback (most recent call last):\n  File 'x'\nValueError: {SCRIPT} \x1b[31m{IMAGE}\n"
CONTROL = {"name": "mine against its control", "candidates": ["*/mine"], "references": ["*/mine-cw"]}
DECLARED = {"comparisons": [CONTROL | {"scope": "same-backbone", "control": True}]}
GAINS = {"equal": 0.0, "mine": 0.02, "mine-cw": 0.005, SCRIPT: -0.01, IMAGE: 0.01}
VOID = {"meta", "input", "br", "wbr", "link", "img"}


class Page(HTMLParser):
    """What a page is made of: elements with their attributes, texts by element, and whether all is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.tables: list[dict[str, int]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append({"caption": 0, "unscoped": 0})
        if tag == "caption":
            self.tables[-1]["caption"] += 1
        if tag == "th" and "scope" not in dict(attrs):
            self.tables[-1]["unscoped"] += 1
        if tag not in VOID:
            self.open.append(tag)
        # A word may be broken there; it stays a word.
        self.texts.append("" if tag == "wbr" else " ")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.texts.append(" ")

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def values(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.elements if name in attributes]


def written(store: Store, path: Path, **options) -> Page:
    return Page(write_report(store, "tiny", path / "report.html", **options).path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def page(folder, publish_suite):
    """The report of a suite with hostile names, a failure and a missing run."""
    store = Store.open(folder / "store")
    failed, missing = {("mine", 3): TRACE}, [("equal", 3)]
    names = {"tasks": (SCRIPT, "pay"), "dataset": IMAGE, "title": SCRIPT, "notes": (IMAGE,)}
    publish_suite(store, GAINS, failed=failed, missing=missing, statistics=DECLARED, **names)
    return written(store, folder)


def test_every_element_is_closed(page):
    assert page.open == []


def test_nothing_comes_from_outside(page):
    tags = Counter(tag for tag, _ in page.elements)
    assert not {"img", "link", "iframe", "object", "embed", "base", "video", "audio"} & set(tags)
    assert tags["script"] == 2
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert all(value.startswith("#") for value in page.values("href"))
    assert page.values("src") == []
    policies = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"]


def test_ids_are_unique_and_what_refers_to_them_finds_them(page):
    ids = Counter(page.values("id"))
    assert not [name for name, count in ids.items() if count > 1]
    referred = [name for value in page.values("aria-labelledby") for name in value.split()]
    referred += [value.removeprefix("#") for value in page.values("href")]
    assert not set(referred) - set(ids)


def test_every_table_has_a_caption_and_scopes(page):
    assert len(page.tables) > 8
    assert all(table == {"caption": 1, "unscoped": 0} for table in page.tables)


def test_every_figure_has_a_caption_and_a_text_for_who_cannot_see_it(page):
    tags = Counter(tag for tag, _ in page.elements)
    assert tags["figure"] == tags["figcaption"] >= 5
    assert tags["desc"] == tags["figure"]


def test_names_and_messages_are_shown_as_text(page):
    for text in (f"ple/{IMAGE}", f"ValueError: {SCRIPT} {IMAGE}", f"{IMAGE} · {SCRIPT} · auc", f"tiny@1: {SCRIPT}"):
        assert text in page.text
    assert {f"ple/{SCRIPT}", f"ple/{IMAGE}"} <= set(page.values("data-method"))


def test_the_data_of_the_script_cannot_end_it(page):
    data = json.loads(page.scripts[0])
    assert any(f"ple/{SCRIPT}" in cell["m"] for cell in data["cells"])
    assert not re.search(r"[<>&\u2028\u2029]", page.scripts[0])


def test_a_reader_finds_the_parts_in_their_order(page):
    parts = ["found", "complete", "leaderboard", "pairs", "families", "figures", "variance", "across", "cost"]
    parts += ["failures", "reproduce", "reading"]
    assert [name for name in page.values("id") if name in parts] == parts
    assert [name.removeprefix("#") for name in page.values("href") if name.removeprefix("#") in parts][1:] == parts


def test_what_is_missing_and_what_failed_is_said_first(page):
    assert "Of 20 planned runs 1 failed; their messages are below. 2 of 20 planned runs have no scores" in page.text
    assert "20 planned runs: 18 ended well, 1 failed, 1 not run yet." in page.text
    assert "3/4" in page.text


def test_a_verdict_is_a_word_and_a_sign(page):
    assert re.search(r"▲ better", page.text)
    assert "▲ mine-cw: better" in page.text or "· mine-cw: n too small" in page.text


def test_every_cell_has_its_command_and_its_runs(page):
    assert "rmtl-bench run --suite tiny@1 --only" in page.text
    assert "numpy 2.4.6" in page.text
    assert "0" * 16 in page.text


def test_both_sources_of_variance_are_those_of_the_control(page):
    assert "A: ple/mine, B: ple/mine-cw · seeds and test sessions" in page.text
    assert "without predictions on both sides: seeds 3" in page.text


def test_too_few_data_sets_for_a_critical_difference_are_said(page):
    assert "auc: 1 independent block; 8 are needed" in page.text


def test_a_suite_of_failures_alone_is_written_and_says_so(tmp_path, publish_suite):
    store = Store.open(tmp_path / "store")
    publish_suite(
        store, {"equal": 0.0, "mine": 0.1}, 2, failed={(w, s): TRACE for w in ("equal", "mine") for s in (0, 1)}
    )
    page = written(store, tmp_path)
    assert "Of 4 planned runs 4 failed; their messages are below. No run has ended well" in page.text
    assert "failed ValueError" in page.text
    assert "(4 runs: sessions/ple/equal/0, …)" in page.text
    assert "--retry failed" in page.text
    assert not {"leaderboard", "pairs", "figures", "across", "variance"} & set(page.values("id"))


def test_nothing_run_yet_is_written_and_says_so(tmp_path, publish_suite):
    store = Store.open(tmp_path / "store")
    publish_suite(store, {"equal": 0.0}, 2, missing=[("equal", 0), ("equal", 1)])
    page = written(store, tmp_path)
    assert "No run has ended well, so there is nothing to compare." in page.text
    assert "2 planned runs: 0 ended well, 2 not run yet." in page.text


def test_a_single_seed_is_shown_and_not_ranked(tmp_path, publish_suite):
    store = Store.open(tmp_path / "store")
    publish_suite(store, {"equal": 0.0, "mine": 0.1}, 1)
    page = written(store, tmp_path)
    assert "One seed says nothing of noise: nothing is tested or ranked." in page.text
    assert "No method has a rank here" in page.text
    assert "No two methods share enough seeds to be compared" in page.text
    cells = [attributes.get("class") or "" for tag, attributes in page.elements if tag == "td"]
    assert not {"better", "worse", "equivalent"} & {name for names in cells for name in names.split()}


def test_without_predictions_nothing_is_resampled(tmp_path, publish_suite):
    store = Store.open(tmp_path / "store")
    publish_suite(store, {"equal": 0.0, "mine": 0.01}, 3, predictions=False)
    page = written(store, tmp_path)
    assert "These runs have stored no predictions" in page.text
    assert "figures-calibration" not in page.values("id")


def test_a_damaged_file_of_predictions_takes_its_part_away_and_not_the_report(tmp_path, publish_suite):
    store = Store.open(tmp_path / "store")
    plan = publish_suite(store, {"equal": 0.0, "mine": 0.01}, 3)
    (store.runs_path / plan.cells[0].run_id / "predictions.parquet").write_bytes(b"no parquet")
    page = written(store, tmp_path)
    assert "no calibration: " in page.text
    assert "The predictions could not be resampled: " in page.text


def test_figures_are_written_as_files(tmp_path, publish_suite):
    store = Store.open(tmp_path / "store")
    publish_suite(store, {"equal": 0.0, "mine": 0.01}, 3)
    made = write_report(store, "tiny", tmp_path / "r.html", figures=tmp_path / "figures", metrics=["auc"])
    assert {path.suffix for path in made.figures} == {".svg", ".pdf"}
    assert sorted(made.figures) == sorted((tmp_path / "figures").iterdir())
    assert made.size == made.path.stat().st_size
    assert not any("logloss" in path.name for path in made.figures)


@pytest.mark.parametrize("place", ["none/r.html", "."])
def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_read(tmp_path, publish_suite, place):
    store = Store.open(tmp_path / "store")
    publish_suite(store, {"equal": 0.0}, 1)
    with pytest.raises(UsageError, match="folder"):
        write_report(store, "tiny", tmp_path / place)
    assert not (store.path / "results.duckdb").exists()
    assert not list(tmp_path.glob("*.html"))


def test_an_unknown_metric_is_refused_and_nothing_is_written(tmp_path, publish_suite):
    store = Store.open(tmp_path / "store")
    publish_suite(store, {"equal": 0.0}, 1)
    with pytest.raises(UsageError, match="unknown metric 'acu'"):
        write_report(store, "tiny", tmp_path / "r.html", metrics=["acu"])
    assert not list(tmp_path.glob("r.html*"))


def test_a_name_with_characters_that_no_figure_may_hold_is_no_obstacle(tmp_path, publish_suite):
    store = Store.open(tmp_path / "store")
    publish_suite(store, {"equal": 0.0, "odd\x1b[31m\x0b\u2028點": 0.1}, 3)
    page = written(store, tmp_path)
    assert "figures-curves" in page.values("id")
    assert any("點" in cell["m"][0] + cell["m"][1] for cell in json.loads(page.scripts[0])["cells"])


def test_a_suite_of_many_methods_stays_small(tmp_path, publish_suite):
    store = Store.open(tmp_path / "store")
    publish_suite(store, {"equal": 0.0, **{f"weighting-{k}": k / 1000 for k in range(24)}}, 2, predictions=False)
    assert write_report(store, "tiny", tmp_path / "r.html").size < 2**20
