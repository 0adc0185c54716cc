from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rmtl_bench.metrics import grouping
from rmtl_bench.metrics.grouping import SPREAD, blocks, changes, group_codes, sort_within_groups

IDS = st.one_of(
    *(arrays(dtype, st.integers(0, 30)) for dtype in (np.int8, np.int32, np.int64, np.uint64)),
    arrays(np.int32, st.integers(0, 30), elements=st.integers(-3, 3)),
    arrays(np.uint64, st.integers(0, 30), elements=st.integers(2**64 - 5, 2**64 - 1)),
)


@settings(deadline=None)
@given(IDS, st.booleans())
def test_codes_are_equal_and_ordered_as_the_ids_are(ids, in_order):
    ids = np.sort(ids) if in_order else ids
    codes = group_codes(ids)
    assert codes.dtype == np.int64
    by_code = np.argsort(codes, kind="stable")
    np.testing.assert_array_equal(by_code, np.argsort(ids, kind="stable"))
    np.testing.assert_array_equal(changes(codes[by_code]), changes(ids[by_code]))


@settings(deadline=None)
@given(IDS)
def test_codes_number_a_small_array(ids):
    codes = group_codes(ids)
    assert np.all((codes >= 0) & (codes < SPREAD * max(len(ids), 1)))


@pytest.mark.parametrize("ids", [[5], [-(2**63), 2**63 - 1], [2**63 - 1, -(2**63), 2**63 - 1]])
def test_ids_may_span_all_integers(ids):
    np.testing.assert_array_equal(group_codes(np.array(ids)), np.unique(ids, return_inverse=True)[1])


SCORES = st.one_of(
    st.floats(allow_nan=False),
    st.floats(0, 1),
    st.sampled_from([0.0, -0.0, 0.5, np.nextafter(0.5, 1), 1.0]),
)
ROWS = st.lists(st.tuples(st.integers(0, 3), SCORES), min_size=1, max_size=40)


@settings(deadline=None)
@given(ROWS)
def test_rows_are_sorted_by_group_and_then_by_the_whole_score(rows):
    codes, scores = (np.array([row[i] for row in rows]) for i in (0, 1))
    order, new_group, new_score = sort_within_groups(codes, scores)
    expected = np.lexsort((scores, codes))
    np.testing.assert_array_equal(np.sort(order), np.arange(len(rows)))
    np.testing.assert_array_equal(codes[order], codes[expected])
    np.testing.assert_array_equal(scores[order], scores[expected])
    np.testing.assert_array_equal(new_group, changes(codes[expected]))
    np.testing.assert_array_equal(new_score, changes(scores[expected]))


@pytest.mark.parametrize("outlier", [0.5, 1.0, 1e30, np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_too_close_to_tell_apart_at_first_sight_are_sorted(dtype, outlier):
    rng = np.random.default_rng(0)
    scores = rng.random(5000).astype(dtype) / 2**30
    scores[7] = outlier
    codes = rng.integers(20_000, size=5000)
    codes[:2500] = 3
    order, _, _ = sort_within_groups(codes, scores)
    np.testing.assert_array_equal(scores[order], scores[np.lexsort((scores, codes))])


def test_whole_numbers_can_be_scores():
    scores = np.array([2**60 + 1, 2**60, -(2**60), 2**60 + 2])
    assert list(sort_within_groups(np.zeros(4, dtype=np.int64), scores).order) == [2, 1, 0, 3]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([], []),
        ([4], [1]),
        ([0, 0, 1, 1, 2, 2, 3], [2, 4, 1]),
        ([0, 0, 0, 0, 0, 1, 2], [6, 1]),
        ([0, 1, 1, 1, 1, 1, 1, 2], [1, 7]),
        ([0, 1, 2, 1, 4, 5], [6]),
    ],
)
def test_blocks_part_no_group(ids, expected, monkeypatch):
    monkeypatch.setattr(grouping, "BLOCK", 3)
    slices = list(blocks(np.array(ids, dtype=np.int32)))
    assert [len(ids[one]) for one in slices] == expected
    assert [row for one in slices for row in ids[one]] == ids
