"""The page of leaderboards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rmtl_bench.contracts.errors import DataError
from rmtl_bench.submissions import page
from rmtl_bench.submissions.form import as_text, read_submission

Falsify = Callable[..., Path]


def _rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_a_row_has_mean_interval_seeds_and_the_verdict_against_the_declared_reference(submitted: Path) -> None:
    text = page(submitted.parents[1])
    assert text.startswith("# Leaderboards\n\n")
    assert "## tiny@1\n\nA suite\n" in text
    assert "### sessions · click · auc (higher is better)" in text
    assert "logloss (lower" not in text
    # t(.975, 2) = 4.3027; the standard deviation of .750, .751, .752 is .001: ± 4.3027 * .001 / sqrt(3).
    better, equal = (row for row in _rows(text) if row[1].startswith("ple/"))
    assert better[1:5] == ["ple/better", "0.75100 ± 0.00248", "3/3", "+0.05000 ± 0.00000"]
    assert better[6:] == ["deterministic", "equal", "first"]
    assert equal[1:] == ["ple/equal", "0.70100 ± 0.00248", "3/3", "-", "-", "-", "-", "first"]


def test_who_submitted_what_and_made_with_what_stands_above(submitted: Path, falsify: Falsify) -> None:
    falsify(submitted, lambda data: data.update(link="https://example.org/a_b", tag="reproduced"))
    about = next(row for row in _rows(page(submitted.parents[1])) if row[1] == "A. Author")
    made_with = "d 1, numpy 2.4.6, commit aaaaaaaaaaaa"
    link = "[first](https://example.org/a_b)"
    assert about == [link, "A. Author", "reproduced", "6, 3 seeds", "2", made_with, "sessions: auc"]


def test_samples_and_submissions_stand_apart(submitted: Path, submitted_sample: Path, falsify: Falsify) -> None:
    second = submitted.with_name("second.json")
    shutil.copy(submitted, second)

    def weaker(data: dict[str, Any]) -> None:
        data["name"] = "second"
        data["cells"][1]["scores"][0].update(values=[0.725, 0.725, 0.725], mean=0.725)

    falsify(second, weaker)
    full, sample = page(submitted.parents[1]).split("## tiny@1-sample")
    methods = [(row[1], row[3], row[-1]) for row in _rows(full) if row[1].startswith("ple/")]
    assert methods == [
        ("ple/better", "3/3", "first"),
        ("ple/better", "3/3", "second"),
        ("ple/equal", "3/3", "first"),
        ("ple/equal", "3/3", "second"),
    ]
    assert [row[3] for row in _rows(sample) if row[1].startswith("ple/")] == ["2/2", "2/2"]


def test_two_states_of_the_data_are_two_tables(submitted: Path, falsify: Falsify) -> None:
    second = submitted.with_name("second.json")
    shutil.copy(submitted, second)
    falsify(second, lambda data: [data.update(name="second"), *(c.update(fingerprint="f" * 16) for c in data["cells"])])
    data = json.loads(second.read_text())
    for cell, read in zip(data["cells"], read_submission(second).cells, strict=True):
        for run, replicate in zip(cell["runs"], read.runs, strict=True):
            run["run_id"] = read.of_run(replicate).run_id
    falsify(second, lambda found: found.update(data))
    text = page(submitted.parents[1])
    first, _, other = text.partition("### sessions, state ffffffffffffffff of the data · click")
    assert {row[-1] for row in _rows(first) if row[1].startswith("ple/")} == {"first"}
    assert {row[-1] for row in _rows(other) if row[1].startswith("ple/")} == {"second"}


def test_what_anybody_wrote_is_shown_as_it_is(submitted: Path, falsify: Falsify) -> None:
    falsify(submitted, lambda data: data.update(by="<script>|`{{x}}` ![a](b) $x$"))
    data = json.loads(submitted.read_text())
    data["suite"]["title"] = "# *title*"
    data["suite"]["notes"] = ["<b>"]
    submitted.write_text(as_text(data))
    falsify(submitted, lambda found: None)
    text = page(submitted.parents[1])
    assert r"\<script\>\|\`\{\{x\}\}\` \!\[a\](b) \$x\$" in text
    assert "\n\n\\# \\*title\\*\n\n" in text
    assert r"> \<b\>" in text
    assert "<" not in text.replace(r"\<", "")


def test_a_false_submission_makes_no_page(submitted: Path, falsify: Falsify) -> None:
    falsify(submitted, lambda data: data["cells"][0]["scores"][0].update(mean=0.9))
    with pytest.raises(DataError, match=r"first\.json: cells\[0\]\.scores\[0\]\.mean: 0\.9; .*rmtl-bench verify"):
        page(submitted.parents[1])
