from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from rmtl_bench.contracts import UsageError
from rmtl_bench.data.checks import check_table
from rmtl_bench.metrics.ranking import auc_score
from rmtl_bench_datasets.simulated import NUMERICAL, USER_FIELDS, Simulated

FIELDS = ("user_group", "age", "region", "category", "brand", "price_level", "hour", "slot")


@pytest.fixture(scope="module")
def usual(simulate):
    return simulate(rows=30_000, seed=1)


def standard_error(residuals, session):
    """Of the sum of ``residuals`` where rows of a session are dependent."""
    return float(np.sqrt(np.sum(np.bincount(session, residuals) ** 2)))


def predictors(table, funnel):
    """Return b_k + eta_k from the optimum."""
    own = table.optimum.astype(np.float64)
    if funnel:
        own[:, 1:] /= table.optimum[:, :-1]
    return ndtri(own)


# The optimum


@pytest.mark.parametrize("dependence", [0.0, 0.6])
@pytest.mark.parametrize("funnel", [True, False])
def test_the_optimum_is_calibrated_as_a_whole_and_by_decile(simulate, dependence, funnel):
    table = simulate(rows=30_000, rates=(0.3, 0.1), dependence=dependence, funnel=funnel, seed=2)
    residuals = table.labels - table.optimum.astype(np.float64)
    for task in range(2):
        order = np.argsort(table.optimum[:, task])
        for rows in (order, *np.array_split(order, 10)):
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


@settings(deadline=None, max_examples=100)
@given(
    rows=st.integers(100, 500),
    tasks=st.integers(1, 4),
    conflict=st.floats(0, 1),
    dependence=st.floats(0, 1),
    signal=st.floats(0, 50),
    session_length=st.floats(1, 300),
    funnel=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_any_parameters_give_a_table_that_keeps_its_promises(simulate, **parameters):
    table = simulate(**parameters)
    check_table(table, "simulated")
    assert len(table) == parameters["rows"]
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


@pytest.mark.parametrize("length", [1.0, 2.5, 8.0])
def test_sessions_have_their_mean_length(simulate, length):
    table = simulate(rows=20_000, session_length=length)
    sessions = np.count_nonzero(table.session_end == 1)
    assert len(table) / sessions == pytest.approx(length, abs=4.5 * length / np.sqrt(sessions) * (length > 1) + 1e-9)


def test_splits_have_their_shares_and_follow_one_another_in_time(simulate):
    table = simulate(rows=10_000, split=(0.7, 0.2, 0.1))
    assert table.split_sizes == pytest.approx((7_000, 2_000, 1_000), abs=2)
    assert table.timestamp[table.split("train")].max() < table.timestamp[table.split("valid")].min()
    assert table.timestamp[table.split("valid")].max() < table.timestamp[table.split("test")].min()


def test_a_session_cut_by_a_split_goes_on_in_a_later_one(simulate):
    table = simulate(rows=20_000, session_length=200.0)
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


# What cannot be


@pytest.mark.parametrize("rates", [(), (0.0,), (1.0, 0.5), (1.2,), (0.2, -0.1), (0.05, 0.2), (0.2, 0.2)])
def test_impossible_rates_are_refused(rates):
    with pytest.raises(UsageError, match="parameter 'rates'"):
        Simulated(rates=rates)


@pytest.mark.parametrize("split", [(0.5, 0.5), (0.6, 0.2, 0.3), (1.0, 0.0, 0.0)])
def test_impossible_shares_are_refused(split):
    with pytest.raises(UsageError, match="parameter 'split'"):
        Simulated(split=split)
