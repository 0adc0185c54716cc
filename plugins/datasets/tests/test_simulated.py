from __future__ import annotations

import itertools
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from rmtl_bench.contracts import UsageError
from rmtl_bench.data.checks import check_table
from rmtl_bench.metrics.ranking import auc_score
from rmtl_bench_datasets import simulated
from rmtl_bench_datasets.simulated import Simulated
from rmtl_bench_datasets.simulated_blocks import NUMERICAL, USER_FIELDS

BLOCK = 10_000
FIELDS = ("user_group", "age", "region", "category", "brand", "price_level", "hour", "slot")


@pytest.fixture(scope="module")
def usual(simulate):
    return simulate(rows=30_000, seed=1)


@pytest.fixture(scope="module")
def blocks(simulate):
    """Build a table from blocks of 10,000 rows, or as many as said."""

    def build(block=BLOCK, **parameters):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(simulated, "BLOCK_ROWS", block)
            return simulate(**parameters)

    return build


@pytest.fixture(scope="module", params=["page", "geometric"])
def five(request, blocks):
    """Five blocks, the last of them short; valid begins within the third and test within the fourth."""
    return blocks(rows=47_003, sessions=request.param, seed=4)


def of_blocks(table):
    """Return the rows of each block."""
    return [slice(first, min(first + BLOCK, len(table))) for first in range(0, len(table), BLOCK)]


def standard_error(residuals, session):
    """Of the sum of ``residuals`` where rows of a session are dependent."""
    return float(np.sqrt(np.sum(np.bincount(session, residuals) ** 2)))


def places(table):
    """Return the place of each row in its session and split from 0, and how many rows of it are left behind the row."""
    last = np.flatnonzero(table.session_end)
    lengths = np.diff(last, prepend=-1)
    place = np.arange(len(table)) - np.repeat(last - lengths + 1, lengths)
    return place, np.repeat(lengths, lengths) - 1 - place


def slots(table):
    """Return the field slot, counted from 0."""
    return table.categorical[:, FIELDS.index("slot")] - 1


def predictors(table, funnel):
    """Return b_k + eta_k from the optimum."""
    own = table.optimum.astype(np.float64)
    if funnel:
        own[:, 1:] /= table.optimum[:, :-1]
    return ndtri(own)


# The optimum


@pytest.mark.parametrize("sessions", ["page", "geometric"])
@pytest.mark.parametrize("dependence", [0.0, 0.6])
@pytest.mark.parametrize("funnel", [True, False])
def test_the_optimum_is_calibrated_as_a_whole_by_decile_and_at_every_place(simulate, sessions, dependence, funnel):
    table = simulate(rows=30_000, rates=(0.3, 0.1), dependence=dependence, sessions=sessions, funnel=funnel, seed=2)
    residuals, place = table.labels - table.optimum.astype(np.float64), places(table)[0]
    for task in range(2):
        order = np.argsort(table.optimum[:, task])
        at = [order[place[order] == number] for number in range(5)]
        halves = [half for rows in at for half in np.array_split(rows, 2)]
        for rows in (order, *np.array_split(order, 10), *at, *halves):
            error = standard_error(residuals[rows, task], table.session[rows])
            assert abs(residuals[rows, task].sum()) < 4.5 * error


def test_the_mean_of_the_optimum_is_the_rate(usual):
    assert usual.optimum.mean(axis=0, dtype=np.float64) == pytest.approx([0.2, 0.05], abs=1e-6)


def test_a_rate_left_out_is_a_quarter_of_the_one_before(simulate):
    table = simulate(rows=2_000, tasks=4, rates=(0.4,))
    assert table.optimum.mean(axis=0, dtype=np.float64) == pytest.approx([0.4, 0.1, 0.025, 0.00625], abs=1e-6)


@pytest.mark.parametrize("funnel", [True, False])
@pytest.mark.parametrize("conflict", [0.0, 0.3, 0.5, 1.0])
def test_conflict_makes_predictors_correlate_at_1_minus_twice_it(simulate, conflict, funnel):
    table = simulate(rows=3_000, tasks=3, rates=(0.6, 0.3, 0.1), conflict=conflict, funnel=funnel)
    eta = predictors(table, funnel)
    for left, right in itertools.pairwise(range(3)):
        assert np.corrcoef(eta[:, left], eta[:, right])[0, 1] == pytest.approx(1 - 2 * conflict, abs=1e-3)


@pytest.mark.parametrize("signal", [0.0, 0.6, 1.2])
def test_signal_is_the_standard_deviation_of_the_predictors(simulate, signal):
    eta = predictors(simulate(rows=3_000, signal=signal), funnel=True)
    assert eta.std(axis=0) == pytest.approx([signal, signal], abs=1e-3)


def test_a_signal_far_beyond_the_noise_still_hits_the_rates(simulate):
    table = simulate(rows=500, signal=100.0)
    assert table.optimum.mean(axis=0, dtype=np.float64) == pytest.approx([0.2, 0.05], abs=1e-6)


@pytest.mark.parametrize("task", [0, 1])
def test_no_other_scorer_ranks_better_than_the_optimum(usual, task):
    labels, optimum = usual.labels[:, task], usual.optimum[:, task].astype(np.float64)
    noise = np.random.default_rng(0).standard_normal(len(usual))
    score = ndtri(optimum)
    others = {
        "the other task": usual.optimum[:, 1 - task],
        "a little noise": score + 0.2 * score.std() * noise,
        "much noise": score + 2 * score.std() * noise,
        **{name: usual.numerical[:, column] for column, name in enumerate(NUMERICAL)},
    }
    best = auc_score(labels, optimum)
    assert best > 0.65
    assert {name: auc for name, scores in others.items() if (auc := auc_score(labels, scores)) > best} == {}


def test_no_logloss_is_lower_than_that_of_the_optimum(usual):
    def logloss(probabilities):
        return -np.mean(usual.labels * np.log(probabilities) + (1 - usual.labels) * np.log1p(-probabilities), axis=0)

    optimum = usual.optimum.astype(np.float64)
    others = [np.full_like(optimum, usual.labels.mean(axis=0)), optimum**1.2, optimum**0.8, 0.8 * optimum + 0.03]
    assert all((logloss(optimum) < logloss(other)).all() for other in others)


# Labels


def test_rates_are_hit(usual):
    for task, rate in enumerate((0.2, 0.05)):
        error = standard_error(usual.labels[:, task] - rate, usual.session)
        assert abs(usual.labels[:, task].sum() - rate * len(usual)) < 4.5 * error


def test_a_funnel_makes_each_task_the_parent_of_the_next(simulate):
    table = simulate(rows=2_000, tasks=4, rates=(0.6, 0.4, 0.2, 0.1))
    assert [task.parent for task in table.schema.tasks] == [None, "click", "purchase", "task-3"]
    assert (np.diff(table.labels, axis=1) <= 0).all()
    assert (np.diff(table.optimum, axis=1) <= 0).all()


def test_without_a_funnel_tasks_have_no_parents_and_rates_may_rise(simulate):
    table = simulate(rows=2_000, rates=(0.1, 0.3), funnel=False)
    assert [task.parent for task in table.schema.tasks] == [None, None]
    assert ((table.labels[:, 1] == 1) & (table.labels[:, 0] == 0)).any()
    assert table.optimum.mean(axis=0, dtype=np.float64) == pytest.approx([0.1, 0.3], abs=1e-6)


def test_dependence_raises_the_correlation_of_labels_within_a_session(simulate):
    def correlation(dependence):
        table = simulate(rows=20_000, rates=(0.4, 0.2), dependence=dependence)
        residuals, goes_on = (table.labels - table.optimum)[:, 0], table.session_end[:-1] == 0
        return np.corrcoef(residuals[:-1][goes_on], residuals[1:][goes_on])[0, 1]

    none, some, much = (correlation(dependence) for dependence in (0.0, 0.4, 0.9))
    assert abs(none) < 0.04
    assert some > 0.1
    assert much > some + 0.2


# Rows, sessions and splits

LENGTHS = {"page": st.integers(1, 300).map(float), "geometric": st.floats(1, 300)}
KINDS = st.sampled_from(sorted(LENGTHS)).flatmap(lambda kind: st.tuples(st.just(kind), LENGTHS[kind]))


@settings(deadline=None, max_examples=150)
@given(
    kind=KINDS,
    rows=st.integers(100, 500),
    tasks=st.integers(1, 4),
    conflict=st.floats(0, 1),
    dependence=st.floats(0, 1),
    signal=st.floats(0, 50),
    funnel=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_any_parameters_give_a_table_that_keeps_its_promises(simulate, kind, **parameters):
    sessions, length = kind
    table = simulate(sessions=sessions, session_length=length, **parameters)
    check_table(table, "simulated")
    assert len(table) == parameters["rows"]
    assert np.count_nonzero(table.session_end == 2) == table.notes["sessions_cut_by_a_split"]
    assert table.schema.task_names == ("click", "purchase", "task-3", "task-4")[: parameters["tasks"]]
    assert table.optimum.shape == table.labels.shape


def test_twenty_tasks_can_be_simulated(simulate):
    check_table(simulate(rows=500, tasks=20), "simulated")


def test_the_same_parameters_give_the_same_table_and_another_seed_another_one(simulate, arrays):
    first, second, other = (simulate(rows=1_000, seed=seed) for seed in (7, 7, 8))
    for name, array in arrays(first).items():
        np.testing.assert_array_equal(array, arrays(second)[name], err_msg=name)
    assert not np.array_equal(first.numerical, other.numerical)
    assert not np.array_equal(first.labels, other.labels)


@pytest.mark.parametrize("length", [1, 2, 5, 40])
def test_every_session_is_a_page_and_the_slot_counts_its_places(simulate, length):
    table = simulate(rows=4_000, session_length=float(length))
    place, left = places(table)
    slot, whole = slots(table), np.ones(len(table), dtype=bool)
    starts, ends = np.flatnonzero(place == 0), np.flatnonzero(left == 0)
    for start, end in zip(starts, ends, strict=True):
        # A page that a split cuts goes on in the next one where it was left.
        assert (np.diff(slot[start : end + 1]) == 1).all()
        assert (slot[end] == length - 1) == (table.session_end[end] == 1)
        whole[start : end + 1] = end - start + 1 == length
    assert (slot[whole] == place[whole]).all()
    parts = np.count_nonzero(~whole[starts])
    cuts = np.count_nonzero(table.session_end == 2)
    assert parts == cuts + np.count_nonzero(slot[starts] > 0) <= 0.05 * len(starts) + 4
    assert np.count_nonzero(table.session_end == 1) == 4_000 / length
    assert table.schema.categorical[FIELDS.index("slot")].size == length + 1


def test_the_slot_tells_how_much_of_a_page_is_left_and_nothing_of_a_geometric_session(simulate):
    def related(sessions):
        table = simulate(rows=20_000, sessions=sessions)
        return np.corrcoef(slots(table), places(table)[1])[0, 1]

    assert related("page") < -0.99
    assert abs(related("geometric")) < 0.04


def test_the_number_of_rows_cuts_the_last_page_short_and_ends_it(simulate):
    table = simulate(rows=1_003, split=(0.98, 0.01, 0.01), seed=3)
    place, left = places(table)
    ends = np.flatnonzero(table.session_end == 1)
    (short,) = [end for end in ends if slots(table)[end] < 4]
    assert (slots(table)[short], place[short], left[short]) == (2, 2, 0)
    assert len(ends) == 201
    check_table(table, "simulated")


def test_pages_of_one_row_are_sessions_of_one_row(simulate):
    table = simulate(rows=1_000, session_length=1.0)
    check_table(table, "simulated")
    assert (table.session_end == 1).all()
    assert len(np.unique(table.session)) == 1_000
    assert (slots(table) == 0).all()
    assert table.optimum.mean(axis=0, dtype=np.float64) == pytest.approx([0.2, 0.05], abs=1e-6)


def test_a_page_may_be_longer_than_the_rows_asked_for(simulate):
    table = simulate(rows=100, session_length=300.0)
    check_table(table, "simulated")
    assert table.session_end[table.session_end > 0].tolist() == [2, 2, 1]
    assert (slots(table) == np.arange(100)).all()


@pytest.mark.parametrize("length", [1.0, 2.5, 8.0])
def test_geometric_sessions_have_their_mean_length(simulate, length):
    table = simulate(rows=20_000, sessions="geometric", session_length=length)
    sessions = np.count_nonzero(table.session_end == 1)
    assert len(table) / sessions == pytest.approx(length, abs=4.5 * length / np.sqrt(sessions) * (length > 1) + 1e-9)


def test_geometric_sessions_end_at_any_row_alike(simulate):
    table = simulate(rows=20_000, sessions="geometric", session_length=4.0)
    place, ends = places(table)[0], table.session_end == 1
    for number in range(6):
        here = place == number
        assert ends[here].mean() == pytest.approx(0.25, abs=4.5 * np.sqrt(0.25 * 0.75 / here.sum()))


def test_splits_have_their_shares_and_follow_one_another_in_time(simulate):
    table = simulate(rows=10_000, split=(0.7, 0.2, 0.1))
    assert table.split_sizes == pytest.approx((7_000, 2_000, 1_000), abs=2)
    assert table.timestamp[table.split("train")].max() < table.timestamp[table.split("valid")].min()
    assert table.timestamp[table.split("valid")].max() < table.timestamp[table.split("test")].min()


@pytest.mark.parametrize("sessions", ["page", "geometric"])
def test_a_session_cut_by_a_split_goes_on_in_a_later_one(simulate, sessions):
    table = simulate(rows=100_000, sessions=sessions, session_length=200.0)
    cut = np.flatnonzero(table.session_end == 2)
    assert len(cut) == table.notes["sessions_cut_by_a_split"] > 0
    for row in cut:
        later = slice(sum(table.split_sizes[:1]) if row < table.split_sizes[0] else sum(table.split_sizes[:2]), None)
        assert table.user[row] in table.user[later]


def test_a_user_has_one_value_of_each_of_its_fields(usual):
    assert tuple(field.name for field in usual.schema.categorical) == FIELDS
    for column in range(len(USER_FIELDS)):
        pairs = np.unique(np.column_stack([usual.user, usual.categorical[:, column]]), axis=0)
        assert len(pairs) == len(np.unique(usual.user))


def test_the_hour_is_that_of_the_time_stamp(usual):
    assert (usual.categorical[:, FIELDS.index("hour")] == 1 + usual.timestamp // 3_600_000 % 24).all()


def test_the_time_stamps_of_a_session_rise(usual):
    goes_on = usual.session_end[:-1] == 0
    assert (np.diff(usual.timestamp)[goes_on] > 0).all()


# Blocks


def test_blocks_make_a_table_that_keeps_its_promises(five):
    check_table(five, "simulated")
    assert len(five) == 47_003
    assert five.split_sizes == pytest.approx((28_202, 9_400, 9_401), abs=2)


@settings(deadline=None, max_examples=100)
@given(
    kind=KINDS,
    block=st.integers(100, 200),
    rows=st.integers(100, 800),
    tasks=st.integers(1, 3),
    train=st.floats(0.05, 0.9),
    seed=st.integers(0, 2**31),
)
def test_blocks_of_any_size_are_consecutive_and_share_nobody(blocks, kind, block, rows, tasks, train, seed):
    sessions, length = kind
    split = (train, (1 - train) / 2, (1 - train) / 2)
    table = blocks(block, rows=rows, tasks=tasks, sessions=sessions, session_length=length, split=split, seed=seed)
    check_table(table, "simulated")
    assert len(table) == rows
    assert table.split_sizes[:2] == pytest.approx((rows * split[0], rows * split[1]), abs=6)
    assert np.count_nonzero(table.session_end == 2) == table.notes["sessions_cut_by_a_split"]
    for column in (table.timestamp, table.session, table.user):
        for earlier, later in itertools.pairwise(np.split(column, range(block, rows, block))):
            assert earlier.max() < later.min()
    assert (np.diff(np.unique(table.session)) == 1).all()


def test_the_first_block_is_the_table_of_its_rows(blocks, simulate):
    alone, first = simulate(rows=BLOCK), blocks(rows=3 * BLOCK, split=(0.8, 0.1, 0.1))
    for name in ("timestamp", "user", "optimum", "labels", "numerical", "categorical"):
        found, expected = (np.sort(getattr(table, name)[:BLOCK], axis=0) for table in (first, alone))
        np.testing.assert_array_equal(found, expected, err_msg=name)


def test_every_block_draws_rows_of_its_own(five):
    for one, other in itertools.combinations(of_blocks(five), 2):
        for column in (five.numerical, five.categorical, five.optimum, five.labels):
            assert not np.array_equal(column[one][:7_000], column[other][:7_000])
        assert np.mean(five.numerical[one][:7_000] == five.numerical[other][:7_000]) < 0.001


def test_rates_hold_over_all_blocks_and_those_of_the_first_exactly(five):
    first, *later = (five.optimum[rows].astype(np.float64) for rows in of_blocks(five))
    assert first.mean(axis=0) == pytest.approx([0.2, 0.05], abs=1e-6)
    assert all(
        len(np.unique([first[:, task].mean(), *(block[:, task].mean() for block in later)])) == 5 for task in (0, 1)
    )
    for values in (five.optimum.astype(np.float64), five.labels):
        for rows in of_blocks(five):
            for task, rate in enumerate((0.2, 0.05)):
                # Rows of a user have its fields in common.
                error = standard_error(values[rows, task] - rate, five.user[rows])
                assert abs(np.sum(values[rows, task] - rate)) < 4.5 * error


@pytest.mark.parametrize("conflict", [0.0, 0.3, 0.5, 1.0])
def test_predictors_correlate_over_all_blocks_as_over_the_first(blocks, conflict):
    eta = predictors(blocks(rows=47_003, tasks=3, rates=(0.6, 0.3, 0.1), conflict=conflict), funnel=True)
    first, *later = (eta[rows] for rows in of_blocks(eta))
    for left, right in itertools.pairwise(range(3)):
        expected, found = 1 - 2 * conflict, [np.corrcoef(part[:, [left, right]].T)[0, 1] for part in (first, *later)]
        assert found[0] == pytest.approx(expected, abs=1e-3)
        assert found[1:] == pytest.approx([expected] * 4, abs=0.06)
    assert first.std(axis=0) == pytest.approx([0.6] * 3, abs=1e-3)
    for block in later:
        assert block.std(axis=0) == pytest.approx([0.6] * 3, rel=0.05)


def test_the_optimum_is_calibrated_in_every_block_and_by_decile_over_all(five):
    residuals = five.labels - five.optimum.astype(np.float64)
    for task in range(2):
        deciles = np.array_split(np.argsort(five.optimum[:, task]), 10)
        for rows in (*deciles, *of_blocks(five)):
            error = standard_error(residuals[rows, task], five.session[rows])
            assert abs(residuals[rows, task].sum()) < 4.5 * error


def test_blocks_are_the_same_again(blocks, arrays):
    first, second = (blocks(block=400, rows=1_900) for _ in range(2))
    for name, array in arrays(first).items():
        np.testing.assert_array_equal(array, arrays(second)[name], err_msg=name)


@pytest.mark.parametrize("rows", [300, 2_000])
def test_the_arrays_are_memory_maps_below_the_scratch_folder(monkeypatch, arrays, tmp_path, rows):
    monkeypatch.setattr(simulated, "BLOCK_ROWS", 500)
    table = Simulated(rows=rows).build(Path("no-raw-files"), tmp_path)
    for name, array in arrays(table).items():
        assert isinstance(array, np.memmap)
        assert Path(array.filename).is_relative_to(tmp_path)
        assert Path(array.filename).name == f"{name}.npy"
        array.flush()
        np.testing.assert_array_equal(np.load(array.filename), array)


def test_memory_holds_one_block_however_many_there_are(blocks):
    def peak(number):
        tracemalloc.start()
        try:
            blocks(rows=number * BLOCK)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(20) < 1.2 * peak(2)


# What cannot be


@pytest.mark.parametrize("rates", [(), (0.0,), (1.0, 0.5), (1.2,), (0.2, -0.1), (0.05, 0.2), (0.2, 0.2)])
def test_impossible_rates_are_refused(rates):
    with pytest.raises(UsageError, match="parameter 'rates'"):
        Simulated(rates=rates)


@pytest.mark.parametrize("length", [2.5, 1.000001, float("inf"), float("nan")])
def test_a_page_of_no_whole_number_of_rows_is_refused(length):
    with pytest.raises(UsageError) as refused:
        Simulated(session_length=length)
    assert str(refused.value) == f"parameter 'session_length' is {length}; a page has a whole number of rows"
    Simulated(sessions="geometric", session_length=2.5)


@pytest.mark.parametrize("split", [(0.5, 0.5), (0.6, 0.2, 0.3), (1.0, 0.0, 0.0)])
def test_impossible_shares_are_refused(split):
    with pytest.raises(UsageError, match="parameter 'split'"):
        Simulated(split=split)
