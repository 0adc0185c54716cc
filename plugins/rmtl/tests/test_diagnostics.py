"""What is said of critics and weights after a training, against sums and sorts written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch.nn import functional as F

from rmtl_bench.contracts import Task
from rmtl_bench_rmtl.actor_critic import ActorCritic
from rmtl_bench_rmtl.diagnostics import GRID, critic_diagnostics, rank_correlation, weight_diagnostics
from rmtl_bench_rmtl.rmtl import RMTL

INSIDE, END, CUT = 0, 1, 2
NAMES = ("t0", "t1")
TASKS = tuple(Task(name) for name in NAMES)
SMALL = {"embedding_dim": 3, "bottom": (8,), "tower": (4,), "critic_epochs": 2}
OF_CRITICS = {"td-error", "return-error", "return-correlation"}
SIMULATED = {"expected-return-correlation", "best-action-rank-correlation"}
OF_WEIGHTS = {"weight-mean", "weight-q05", "weight-q50", "weight-q95"}
ENDS = [0, 0, 1, 0, 2, 1, 0, 0, 0, 1, 0, 1, 2, 1]
DISCOUNT = 0.8


def draw(*size, seed):
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=[False, True], ids=["all-known", "missing"])
def rows(request, make_rows):
    n = len(ENDS)
    labels, mask = (draw(n, 2, seed=1) < 0.5).float(), draw(n, 2, seed=2) < 0.8
    optimum = draw(n, 2, seed=3).tolist()
    if not request.param:
        return make_rows(ENDS, labels.tolist(), optimum=optimum)
    return make_rows(ENDS, (labels * mask).tolist(), mask.tolist(), optimum=optimum)


@pytest.fixture
def actor():
    return torch.randn(len(ENDS), 2, generator=torch.Generator().manual_seed(4))


@pytest.fixture
def critics(rows, make_critics):
    """Twins that have learnt rewards a little, the second of them those of the opposite labels.

    The best action of untrained critics is an end of the grid in every state.
    """
    made = make_critics(rows.schema, twin=True, embedding_dim=8, bottom=(16,), tower=(16,), dropout=0.0)
    batch = rows.batch(torch.arange(len(rows)))
    truth = torch.stack([rows.optimum, 1 - rows.optimum])
    optimizer = torch.optim.Adam(made.parameters(), lr=0.03)
    for _ in range(100):
        acted = 3 * torch.randn(len(rows), 2)
        wanted = -F.binary_cross_entropy_with_logits(acted.expand(2, -1, -1), truth, reduction="none")
        optimizer.zero_grad()
        (made.all_values(made.states(batch), acted) - wanted).square().mean().backward()
        optimizer.step()
    return made


def found(critics, rows, actor, batch_size=5):
    said = list(critic_diagnostics(critics, rows, actor, NAMES, DISCOUNT, batch_size))
    assert all(d.position == -1 for d in said)
    values = {(d.quantity, d.task): d.value for d in said}
    assert len(values) == len(said)
    return values


def by_hand(critics, rows, actor):
    """Q, rewards, whether labels are known, exact returns or None, and returns under the true probabilities or None."""
    batch = rows.batch(torch.arange(len(rows)))
    q = critics.eval()(batch, actor).detach().double().numpy()
    p = torch.sigmoid(actor.double()).numpy()
    labels = rows.labels.numpy()
    mask = np.ones(labels.shape, dtype=bool) if rows.label_mask is None else rows.label_mask.numpy()
    reward = labels * np.log(p) + (1 - labels) * np.log(1 - p)
    truth = rows.optimum.double().numpy()
    expected_reward = truth * np.log(p) + (1 - truth) * np.log(1 - p)

    def returned(of, k, row, needs_labels):
        total, factor = 0.0, 1.0
        while True:
            if needs_labels and not mask[row, k]:
                return None
            total += factor * of[row, k]
            if ENDS[row] != INSIDE:
                return total if ENDS[row] == END else None
            row, factor = row + 1, factor * DISCOUNT

    exact, expected = (
        [[returned(of, k, row, labelled) for row in range(len(ENDS))] for k in range(2)]
        for of, labelled in ((reward, True), (expected_reward, False))
    )
    return q, reward, mask, exact, expected


def correlation(values, others):
    pairs = [(a, b) for a, b in zip(values, others, strict=True) if b is not None]
    return np.corrcoef(np.array(pairs).T)[0, 1]


def test_td_error_return_error_and_correlation_are_those_summed_by_hand(critics, rows, actor):
    said = found(critics, rows, actor)
    q, reward, mask, exact, expected = by_hand(critics, rows, actor)
    for k, task in enumerate(NAMES):
        errors = [
            (reward[i, k] + (DISCOUNT * q[i + 1, k] if end == INSIDE else 0.0) - q[i, k]) ** 2
            for i, end in enumerate(ENDS)
            if end != CUT and mask[i, k]
        ]
        distances = [(q[i, k] - value) ** 2 for i, value in enumerate(exact[k]) if value is not None]
        assert 3 < len(distances) < len(ENDS)
        assert said["td-error", task] == pytest.approx(np.mean(errors), rel=1e-4)
        assert said["return-error", task] == pytest.approx(np.mean(distances), rel=1e-4)
        assert said["return-correlation", task] == pytest.approx(correlation(q[:, k], exact[k]), abs=1e-4)
        assert said["expected-return-correlation", task] == pytest.approx(correlation(q[:, k], expected[k]), abs=1e-4)


def test_the_best_action_of_every_row_is_ranked_with_the_true_probability(critics, rows, actor):
    said = found(critics, rows, actor)
    critics.eval()
    for k, task in enumerate(NAMES):
        best = []
        for row in range(len(rows)):
            batch = rows.batch(torch.full((len(GRID),), row))
            best.append(critics(batch, GRID[:, None].expand(-1, 2))[:, k].argmax().item())
        assert len(set(best)) > 1
        expected = spearmanr(best, rows.optimum[:, k].numpy()).statistic
        assert said["best-action-rank-correlation", task] == pytest.approx(expected, abs=1e-6)


def test_the_size_of_batches_changes_nothing(critics, rows, actor):
    small, large = found(critics, rows, actor, 1), found(critics, rows, actor, 100)
    assert small.keys() == large.keys()
    assert [small[key] for key in small] == pytest.approx([large[key] for key in small], nan_ok=True, rel=1e-4)


def test_without_true_probabilities_what_needs_them_is_left_out(critics, rows, actor):
    assert found(critics, rows, actor).keys() == {(q, t) for q in OF_CRITICS | SIMULATED for t in NAMES}
    rows.optimum = None
    assert found(critics, rows, actor).keys() == {(q, t) for q in OF_CRITICS for t in NAMES}


def test_constant_values_correlate_with_nothing(critics, rows, actor):
    for parameter in critics.networks[0].heads.parameters():
        torch.nn.init.zeros_(parameter)
    said = found(critics, rows, actor)
    for task in NAMES:
        for quantity in ("return-correlation", *SIMULATED):
            assert math.isnan(said[quantity, task])
        assert math.isfinite(said["return-error", task])
        assert math.isfinite(said["td-error", task])


def test_a_constant_true_probability_ranks_nothing(critics, rows, actor):
    rows.optimum = torch.full((len(ENDS), 2), 0.3)
    said = found(critics, rows, actor)
    assert all(math.isnan(said["best-action-rank-correlation", task]) for task in NAMES)


def test_where_no_return_is_exact_there_is_nothing_to_compare_with(make_rows, make_critics):
    rows = make_rows([0, 2, 0, 2], [[1.0, 0.0], [0.0, 1.0]] * 2)
    said = found(make_critics(rows.schema), rows, torch.zeros(4, 2))
    for task in NAMES:
        assert math.isnan(said["return-error", task])
        assert math.isnan(said["return-correlation", task])
        assert math.isfinite(said["td-error", task])


def test_a_task_without_any_label_has_no_error(make_rows, make_critics):
    rows = make_rows([0, 1, 0, 1], [[1.0, 0.0], [0.0, 0.0]] * 2, [[True, False]] * 4)
    said = found(make_critics(rows.schema), rows, torch.zeros(4, 2))
    assert all(math.isnan(said[quantity, "t1"]) for quantity in OF_CRITICS)
    assert math.isfinite(said["td-error", "t0"])
    assert math.isfinite(said["return-error", "t0"])


def test_quantiles_of_weights_are_those_of_the_rows_at_each_position():
    lengths = [14, 1, 3, 12, 2, 10, 9, 5]
    ends, position = [], []
    for i, length in enumerate(lengths):
        ends += [INSIDE] * (length - 1) + [CUT if i % 3 == 2 else END]
        position += [min(place, 9) for place in range(length)]
    weights = 1 + 5 * draw(len(ends), 2, seed=6)
    said = {
        (d.task, d.quantity, d.position): d.value
        for d in weight_diagnostics(NAMES, weights, torch.tensor(ends, dtype=torch.uint8))
    }
    # Position 9 is "9 and later", -1 is all.
    assert said.keys() == {(t, q, p) for t in NAMES for q in OF_WEIGHTS for p in range(-1, 10)}
    for place in range(-1, 10):
        chosen = [i for i, p in enumerate(position) if place in (-1, p)]
        for k, task in enumerate(NAMES):
            column = weights[chosen, k].double().numpy()
            assert said[task, "weight-mean", place] == pytest.approx(column.mean())
            for level in (5, 50, 95):
                expected = np.quantile(column, level / 100)
                assert said[task, f"weight-q{level:02d}", place] == pytest.approx(expected)


def test_positions_end_with_the_longest_session():
    said = list(weight_diagnostics(("t",), torch.ones(4, 1), torch.tensor([0, 0, 1, 1], dtype=torch.uint8)))
    assert {d.position for d in said} == {-1, 0, 1, 2}


FORMS = {
    "critic": OF_CRITICS | OF_WEIGHTS | {"critics-converged"},
    "label": OF_CRITICS | OF_WEIGHTS | {"critics-converged"},
    "negative": OF_CRITICS | OF_WEIGHTS | {"critics-converged"},
    "shuffled": OF_CRITICS | OF_WEIGHTS | {"critics-converged"},
    "return": OF_WEIGHTS,
    "constant": set(),
}


@pytest.mark.parametrize("optimum", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_all_there_is_to_say_of_it(form, optimum, make_trainer):
    method = RMTL(TASKS, weights=form, **SMALL, fine_tune_epochs=1)
    trainer = make_trainer(method, optimum=optimum)
    trainer.run()
    said = list(method.diagnose(trainer, trainer.valid))
    expected = FORMS[form] | (SIMULATED if optimum and "td-error" in FORMS[form] else set())
    assert {(d.quantity, d.task) for d in said} == {(q, t) for q in expected for t in NAMES}
    assert len({(d.quantity, d.task, d.position) for d in said}) == len(said)
    assert {d.quantity for d in said if d.position >= 0} <= OF_WEIGHTS


@pytest.mark.parametrize(("patience", "converged"), [(1, 1.0), (50, 0.0)])
def test_critics_converged_says_what_ended_their_stage(patience, converged, make_trainer):
    # At a step size of 0 nothing ever gets better after the first epoch.
    given = {**SMALL, "critic_epochs": 3, "critic_learning_rate": 0.0, "critic_patience": patience}
    method = RMTL(TASKS, **given, fine_tune_epochs=1)
    trainer = make_trainer(method)
    trainer.run()
    said = [d.value for d in method.diagnose(trainer, trainer.valid) if d.quantity == "critics-converged"]
    assert said == [converged, converged]


def test_the_weights_said_are_those_of_the_held_out_rows(make_trainer):
    method = RMTL(TASKS, **SMALL, fine_tune_epochs=1)
    trainer = make_trainer(method)
    trainer.run()
    rows = trainer.valid
    q = method._critics[0](rows.batch(torch.arange(len(rows))), trainer.predict(rows))
    said = {d.task: d.value for d in method.diagnose(trainer, rows) if (d.quantity, d.position) == ("weight-mean", -1)}
    assert list(said.values()) == pytest.approx((1 - 0.7 * q).mean(0).tolist(), rel=1e-5)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "method",
    [
        lambda: RMTL(TASKS, **SMALL, fine_tune_epochs=1),
        lambda: RMTL(TASKS, weights="return", fine_tune_epochs=1),
        lambda: ActorCritic(TASKS, **SMALL, epochs=1),
    ],
    ids=["critic", "return", "ddpg"],
)
def test_to_diagnose_changes_nothing(method, training, make_trainer):
    weighting = method()
    trainer = make_trainer(weighting, optimum=True)
    trainer.run()
    critics = weighting._critics
    trainer.backbone.train(training)
    frozen = trainer.backbone.heads.bias.requires_grad_(False)

    def state():
        modules = [trainer.backbone, *critics]
        return (
            [value.clone() for module in modules for value in module.state_dict().values()],
            [module.training for module in trainer.backbone.modules()],
            [parameter.requires_grad for parameter in trainer.backbone.parameters()],
            [parameter.grad for parameter in trainer.backbone.parameters()],
        )

    before = state()
    first, second = (list(weighting.diagnose(trainer, trainer.valid)) for _ in range(2))
    after = state()
    assert all(torch.equal(a, b) for a, b in zip(before[0], after[0], strict=True))
    assert before[1] == after[1] == [training] * len(before[1])
    assert before[2] == after[2]
    assert not frozen.requires_grad
    assert [d[:2] for d in first] == [d[:2] for d in second]
    assert [d.value for d in first] == pytest.approx([d.value for d in second], rel=0, abs=0, nan_ok=True)


@given(st.lists(st.integers(0, 5), min_size=3, max_size=40), st.randoms(use_true_random=False))
def test_the_rank_correlation_is_scipys(values, random):
    other = [random.randrange(4) + value // 2 for value in values]
    assume(len(set(values)) > 1 and len(set(other)) > 1)
    expected = spearmanr(values, other).statistic
    assert rank_correlation(np.array(values, float), np.array(other, float)) == pytest.approx(expected, abs=1e-12)
