"""Checks, subjects and the simulated sessions that they train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.data.checks import check_table
from rmtl_bench.testing import BackboneContract, Broken, NotApplicable, checks_of, find_subjects, simulated_sessions
from rmtl_bench.testing.checks import Check, run_check, run_checks
from rmtl_bench.testing.trainings import make_trainer, probabilities, share_learnt

KINDS = ("backbone", "weighting", "dataset", "metric", "executor")


@pytest.mark.parametrize("kind", KINDS)
def test_every_check_has_a_name_of_its_own_and_a_promise_in_one_line(kind):
    checks = checks_of(kind)
    assert len({check.name for check in checks}) == len(checks) > 6
    assert all(check.summary.endswith(".") and len(check.summary) < 120 for check in checks)


def test_an_unknown_kind_or_check_gets_the_nearest_names(host_of):
    with pytest.raises(UsageError, match="did you mean 'backbone'"):
        checks_of("backbones")
    subject = _right(host_of)
    with pytest.raises(UsageError, match="a backbone has no check 'batch-is-changed'; did you mean 'batch-is-not-ch"):
        list(run_checks(subject, without=["batch-is-changed"]))


def test_a_name_means_an_offer_or_all_offers_of_a_plugin(host_of):
    host = host_of("wrong_backbones.py")
    assert [s.info.name for s in find_subjects(host, "right", "backbone", {"width": 4})] == ["right"]
    offers = [s.info.name for s in find_subjects(host, "wrong_backbones")]
    assert {"right", "lazy"} <= set(offers)
    with pytest.raises(UsageError, match="parameters are given to one offer at a time"):
        find_subjects(host, "wrong_backbones", given={"width": 4})
    with pytest.raises(UsageError, match="no offer, plugin or distribution is called 'rigth'; did you mean 'right'"):
        find_subjects(host, "rigth")
    with pytest.raises(UsageError, match="'wrong_backbones' offers no metric"):
        find_subjects(host, "wrong_backbones", "metric")


def test_a_check_ends_as_what_it_raises_says(host_of):
    def ended(error):
        def function(subject):
            if error is not None:
                raise error

        return run_check(Check("a", "A.", function), _right(host_of))

    assert ended(None).state == "ok"
    assert ended(NotApplicable("why")).state == "not applicable"
    assert ended(Broken("what; change")).message == "what; change"
    raised = ended(ValueError("first\nsecond"))
    assert (raised.state, raised.message) == ("broken", "it raised ValueError: first")
    assert "second" in raised.traceback


def test_a_check_is_left_out_with_its_reason(host_of):
    names = [check.name for check in checks_of("backbone")]
    findings = list(run_checks(_right(host_of), without={names[1]: "slow here"}, only=names[:2]))
    assert [(f.state, f.message) for f in findings][1] == ("left out", "slow here")
    assert len(findings) == 2


def test_a_contract_without_its_fixture_says_which():
    with pytest.raises(NotImplementedError, match="has to supply the fixture 'plugin': the name of a backbone"):
        BackboneContract.plugin.__wrapped__(BackboneContract())


def test_a_contract_of_an_unknown_name_fails_in_one_line():
    class Misspelt(BackboneContract):
        plugin_files = (Path(__file__).with_name("wrong_backbones.py"),)

    with pytest.raises(pytest.fail.Exception, match="no backbone is called 'rigth'; did you mean 'right'"):
        BackboneContract.subject.__wrapped__(Misspelt(), "rigth", None)


def _right(host_of):
    return find_subjects(host_of("wrong_backbones.py"), "right", "backbone")[0]


@pytest.mark.parametrize("tasks", [1, 3, [None, 0, 1]])
def test_simulated_sessions_keep_every_promise_of_a_table(tasks):
    table = simulated_sessions(500, tasks, missing=(0.5,) * (tasks if isinstance(tasks, int) else 3))
    check_table(table, "simulated")
    assert set(np.unique(table.session_end)) == {0, 1, 2}
    again = simulated_sessions(500, tasks, missing=(0.5,) * (tasks if isinstance(tasks, int) else 3))
    np.testing.assert_array_equal(table.labels, again.labels)


def test_labels_have_the_rate_of_their_true_probabilities():
    table = simulated_sessions(20_000, [None, 0])
    expected, found = table.optimum.mean(0), table.labels.mean(0)
    spread = np.sqrt((table.optimum * (1 - table.optimum)).sum(0)) / len(table)
    assert (np.abs(found - expected) < 4 * spread).all()


def test_the_share_learnt_is_0_for_the_base_rate_and_1_for_the_true_probabilities():
    table = simulated_sessions(2000)
    test = table.split("test")
    base = np.tile(table.labels[table.split("train")].mean(0, dtype=float), (test.stop - test.start, 1))
    assert np.allclose(share_learnt(table, base), 0)
    assert np.allclose(share_learnt(table, table.optimum[test].astype(float)), 1)


def test_the_plain_backbone_learns_most_of_what_can_be_learnt():
    table = simulated_sessions()
    trainer = make_trainer(table)
    trainer.run()
    assert (share_learnt(table, probabilities(trainer, table)) > 0.7).all()
