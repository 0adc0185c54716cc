"""What cannot be used is refused with one line that names it; what can is used under a warning."""

from __future__ import annotations

import pytest
import torch

from rmtl_bench.contracts import DataError, Task, UsageError
from rmtl_bench_rmtl.actions import TrainingActions
from rmtl_bench_rmtl.critic_stage import ActedRows, CriticStage
from rmtl_bench_rmtl.plugin import rmtl_weightings
from rmtl_bench_rmtl.rmtl import RMTL

SMALL = {"embedding_dim": 3, "bottom": (8,), "tower": (4,), "critic_epochs": 2, "fine_tune_epochs": 1}
END, NAN = 1, float("nan")
TASKS = (Task("t0"), Task("t1"))
WEIGHTINGS = {info.name: info for info in rmtl_weightings()}


# Labels and predictions


@pytest.mark.parametrize(("row", "task"), [(0, 0), (3, 1), (4, 0)])
def test_a_label_that_is_no_number_is_named_with_task_and_row(row, task, make_rows):
    labels = [[0.0, 1.0] for _ in range(5)]
    labels[row][task] = NAN
    with pytest.raises(DataError, match=rf"^the reward of task 't{task}' is nan in row {row} of a split; .*labels"):
        ActedRows(make_rows([END] * 5, labels), torch.zeros(5, 2), ("t0", "t1"))


def test_of_several_the_first_row_is_named(make_rows):
    labels = [[0.0, 1.0], [0.0, NAN], [NAN, NAN]]
    with pytest.raises(DataError, match="task 't1' is nan in row 1 "):
        ActedRows(make_rows([END] * 3, labels), torch.zeros(3, 2), ("t0", "t1"))


def test_a_prediction_that_is_no_number_is_named_with_task_and_row(make_rows):
    actor = torch.zeros(3, 2)
    actor[2, 0] = NAN
    with pytest.raises(DataError, match=r"task 't0' is nan in row 2 .*predictions finite"):
        ActedRows(make_rows([END] * 3, [[0.0, 1.0]] * 3), actor, ("t0", "t1"))


def test_an_infinite_label_is_refused_and_a_certain_prediction_is_not(make_rows):
    rows = make_rows([END] * 2, [[0.0], [float("inf")]])
    with pytest.raises(DataError, match=r"task 't0' is -?inf in row 1 "):
        ActedRows(rows, torch.ones(2, 1), ("t0",))
    # A logit without bound is a probability of 0 or 1, and the reward's clip has an answer to it.
    ActedRows(make_rows([END] * 2, [[0.0], [1.0]]), torch.full((2, 1), float("inf")), ("t0",))


@pytest.mark.parametrize("split", ["train", "valid"])
def test_the_critics_stage_refuses_such_labels_in_either_split(split, make_rows, make_context, make_critics):
    rows, bad = make_rows([END] * 3, [[0.0, 1.0]] * 3), make_rows([END] * 3, [[0.0, 1.0], [0.0, 0.0], [1.0, NAN]])
    context = make_context(rows, torch.zeros(3, 2))
    setattr(context, split, bad)
    with pytest.raises(DataError, match="task 't1' is nan in row 2 "):
        CriticStage(
            make_critics(rows.schema), context, discount=0.9, soft_update=0.2, actions=TrainingActions(3.0, 0.1)
        )


# Parameters


@pytest.mark.parametrize("name", sorted(name for name, info in WEIGHTINGS.items() if "lambda_q" in info.parameters))
@pytest.mark.parametrize("value", [-0.1, -1])
def test_a_negative_lambda_is_refused(name, value):
    with pytest.raises(UsageError) as caught:
        WEIGHTINGS[name].resolve({"lambda_q": value})
    assert str(caught.value) == f"weighting {name!r}: parameter 'lambda_q' is {value}; it takes a number of at least 0"


@pytest.mark.parametrize("name", sorted(name for name, info in WEIGHTINGS.items() if "discount" in info.parameters))
@pytest.mark.parametrize("value", [1.01, -0.5])
def test_a_discount_outside_0_and_1_is_refused(name, value):
    with pytest.raises(UsageError) as caught:
        WEIGHTINGS[name].resolve({"discount": value})
    assert str(caught.value) == f"weighting {name!r}: parameter 'discount' is {value}; it takes a number from 0 to 1"


@pytest.mark.parametrize(("parameter", "ends"), [("discount", (0, 1)), ("lambda_q", (0,)), ("soft_update", (0, 1))])
def test_the_ends_of_a_range_are_allowed(parameter, ends):
    for value in ends:
        assert WEIGHTINGS["rmtl"].resolve({parameter: value})[parameter] == value


@pytest.mark.parametrize("value", [NAN, float("inf"), "much", True])
def test_a_lambda_that_is_no_finite_number_is_refused(value):
    with pytest.raises(UsageError, match=r"parameter 'lambda_q' .*number"):
        WEIGHTINGS["rmtl"].resolve({"lambda_q": value})


def test_an_unknown_form_of_the_weights_is_refused_with_those_there_are():
    with pytest.raises(UsageError) as caught:
        WEIGHTINGS["rmtl"].resolve({"weights": "critics"})
    for text in ("'weights'", "'critics'", "'critic'", "'constant'", "'label'", "'negative'", "'return'", "'shuffled'"):
        assert text in str(caught.value)


# Sessions of one row


@pytest.mark.parametrize("form", ["critic", "constant"])
def test_sessions_of_one_row_are_trained_on_to_the_end_under_a_warning(form, make_trainer):
    trainer = make_trainer(RMTL(TASKS, weights=form, **SMALL), single_rows=True)
    history = trainer.run()
    about = [warning for warning in history.warnings if "every session of the training split has one row" in warning]
    assert len(about) == 1
    assert history.stages[-1].name == "fine-tune"
    found = trainer.weighting.diagnose(trainer, trainer.valid)
    # No row has a second position in its session.
    assert max((d.position for d in found), default=-1) <= 0


def test_one_longer_session_is_enough_to_go_without_a_warning(make_trainer):
    weighting = RMTL(TASKS, weights="constant", **SMALL)
    assert make_trainer(weighting).run().warnings == []


# Critics of another run


def test_without_critics_handed_on_the_backbone_they_should_come_from_is_named(make_trainer):
    trainer = make_trainer(RMTL(TASKS, **SMALL, critic_from="mmoe"))
    with pytest.raises(DataError, match=r"^no critics were handed on from a run on backbone 'mmoe'$"):
        trainer.run()


@pytest.mark.parametrize(
    ("other", "misfit"),
    [
        ({"embedding_dim": 5}, "size mismatch for networks.0.embedding.table"),
        ({"tower": (6,)}, "size mismatch for networks.0.heads.weights.0"),
        ({"twin_critics": True}, "networks.1."),
        ({"shared_bottom": False}, "networks."),
    ],
)
def test_critics_of_other_shapes_are_refused_with_the_first_misfit(other, misfit, make_trainer):
    source = RMTL(TASKS, **{**SMALL, **other})
    kept = source.new_critics(make_trainer(source)).state_dict()
    trainer = make_trainer(RMTL(TASKS, **SMALL, critic_from="mmoe"), label="heir", handed_on=kept)
    with pytest.raises(DataError) as caught:
        trainer.run()
    line = str(caught.value)
    assert line.startswith("the critics handed on from backbone 'mmoe' do not fit: ")
    assert misfit in line
    assert "\n" not in line


def test_the_misfit_named_is_the_first_of_several(make_trainer):
    kept = RMTL(TASKS, **SMALL).new_critics(make_trainer(RMTL(TASKS, **SMALL))).state_dict()
    bad = {name: torch.zeros(7, 7, 7) for name in kept}
    trainer = make_trainer(RMTL(TASKS, **SMALL, critic_from="mmoe"), handed_on=bad)
    with pytest.raises(DataError, match=rf"do not fit: size mismatch for {next(iter(kept))}:"):
        trainer.run()
