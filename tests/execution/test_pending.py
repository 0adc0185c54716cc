from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.contracts.cell import STATUSES, Cell, Component
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.execution.pending import missing_cells, statuses_to_retry, with_sources


def _cell(seed, label="w"):
    parts = [Component("c", label, 1, "d", "1") for _ in range(3)]
    return Cell(parts[0], "f", parts[1], parts[2], {}, ("auc",), seed)


CELLS = [_cell(seed) for seed in range(len(STATUSES))]
ENDED = dict(zip((cell.run_id for cell in CELLS), STATUSES, strict=True))


def _seeds(cells):
    return [cell.seed for cell in cells]


def test_cells_without_a_run_are_missing_and_those_with_one_are_not():
    assert _seeds(missing_cells(CELLS, {})) == list(range(7))
    # 5 was interrupted, and 6 skipped: the run that it builds on is missing, too.
    assert _seeds(missing_cells(CELLS, ENDED)) == [5, 6]
    assert _seeds(missing_cells([*CELLS, _cell(9)], ENDED)) == [5, 6, 9]


def test_a_skipped_run_is_missing_once_its_source_may_end_well():
    source = _cell(0)
    heir = replace(_cell(1), source=source.run_id)

    def is_missing(status, retry=""):
        return heir in missing_cells([source, heir], {source.run_id: status, heir.run_id: "skipped"}, retry)

    assert is_missing("ok")
    assert is_missing("interrupted")
    assert not is_missing("failed")
    assert is_missing("failed", "failed")
    assert is_missing("failed", "skipped")


@pytest.mark.parametrize(
    ("retry", "seeds"),
    [
        ("failed", [1, 5, 6]),
        ("diverged", [4, 5, 6]),
        ("timeout, oom", [2, 3, 5, 6]),
        ("all", [1, 2, 3, 4, 5, 6]),
        ("all,failed", [1, 2, 3, 4, 5, 6]),
    ],
)
def test_runs_that_ended_badly_are_made_again_on_request(retry, seeds):
    assert _seeds(missing_cells(CELLS, ENDED, retry)) == seeds


def test_a_run_under_two_labels_is_made_once():
    assert len(missing_cells([_cell(0, "one"), _cell(0, "other")], {})) == 1


@pytest.mark.parametrize(("text", "hint"), [("timout", "did you mean 'timeout'"), ("ok", "known: all, diverged")])
def test_what_is_no_status_to_retry_is_refused(text, hint):
    with pytest.raises(UsageError, match=f"--retry '{text}' is no status to retry; {hint}"):
        statuses_to_retry(text)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 5)), st.dictionaries(st.integers(0, 5), st.sampled_from(STATUSES)), st.booleans())
def test_what_is_missing_has_not_ended_well_and_stands_in_the_plans_order(seeds, ended, retry):
    statuses = {_cell(seed).run_id: status for seed, status in ended.items()}
    missing = _seeds(missing_cells([_cell(s) for s in seeds], statuses, "all" if retry else ""))
    always = ("interrupted", "skipped")
    expected = [s for s in dict.fromkeys(seeds) if s not in ended or ended[s] in always or (retry and ended[s] != "ok")]
    assert missing == expected


def _heir(source, label="heir"):
    return replace(_cell(source.seed, label), source=source.run_id, metrics=("logloss",))


def _run_order(pending, sources, kept=()):
    cells = with_sources(pending, {c.run_id: c for c in sources}, {c.run_id for c in kept}.__contains__)
    return [(cell.seed, cell.weighting.label) for cell in cells]


def test_sources_that_are_lacking_are_added_and_come_first_in_their_seed():
    sources = [_cell(seed, "source") for seed in range(2)]
    others = [replace(_cell(seed, "other"), metrics=()) for seed in range(2)]
    pending = [cell for seed in range(2) for cell in (others[seed], _heir(sources[seed]))]
    assert _run_order(pending, sources, kept=sources) == [(0, "other"), (0, "heir"), (1, "other"), (1, "heir")]
    assert _run_order(pending, sources, kept=sources[:1]) == [
        (0, "other"),
        (0, "heir"),
        (1, "source"),
        (1, "other"),
        (1, "heir"),
    ]


def test_a_source_that_is_pending_itself_is_run_once_and_before_its_heir():
    source = _cell(0, "source")
    assert _run_order([_heir(source), source], [source]) == [(0, "source"), (0, "heir")]


def test_a_source_that_no_pending_cell_builds_on_is_not_added():
    assert _run_order([_cell(0, "other")], [_cell(1, "source")]) == [(0, "other")]
