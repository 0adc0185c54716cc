"""Critics against the exact action values of a small Markov decision process, solved as a linear system.

The logged sessions *are* the process: transitions, ends and labels have the probabilities with which they stand there,
and full batches see them in exactly these proportions. So nothing is left to chance but where training begins.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import CategoricalField, Schema, SessionTable, Task
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench_rmtl.actions import TrainingActions
from rmtl_bench_rmtl.critic_stage import CriticStage

STATES, TASKS, ROWS = 4, 3, 96
INSIDE, END, CUT = 0, 1, 2
# From each state to each, and to the end.
LEADS = np.array(
    [[0.1, 0.5, 0.2, 0.0, 0.2], [0.0, 0.2, 0.3, 0.3, 0.2], [0.4, 0.0, 0.1, 0.4, 0.1], [0.1, 0.1, 0, 0, 0.8]]
)
P_LABEL = np.array([[0.5, 0.1, 0.3], [0.2, 0.4, 0.1], [0.8, 0.2, 0.6], [0.4, 0.1, 0.9]])
# What the actor predicts is neither the truth nor the same everywhere.
ACTOR = np.array([[-1.0, -3.0, 0.5], [0.3, -1.5, -2.0], [2.0, -2.5, 1.0], [-0.5, 0.0, -1.0]])


class Process:
    """Logged sessions with K tasks; the last one is cut. ``missing``: a part of the labels is not known."""

    def __init__(self, tasks, *, missing=False):
        rng = np.random.default_rng(5)
        state, end = [int(rng.integers(STATES))], []
        while len(end) < ROWS:
            following = int(rng.choice(STATES + 1, p=LEADS[state[-1]]))
            end.append(END if following == STATES else INSIDE)
            state.append(int(rng.integers(STATES)) if following == STATES else following)
        end[-2:] = [INSIDE, CUT]
        self.state, self.end = np.array(state[:ROWS]), np.array(end, dtype=np.uint8)
        self.actor = ACTOR[:, :tasks]
        self.labels = (rng.random((ROWS, TASKS)) < P_LABEL[self.state])[:, :tasks].astype(float)
        self.mask = rng.random((ROWS, TASKS))[:, :tasks] < 0.7 if missing else np.ones((ROWS, tasks), dtype=bool)
        self.missing = missing

    def rows(self):
        schema = Schema((CategoricalField("state", STATES),), (), tuple(Task(f"t{k}") for k in range(len(self.mask.T))))
        table = SessionTable(
            schema=schema,
            categorical=self.state[:, None].astype(np.int32),
            numerical=np.zeros((ROWS, 0), dtype=np.float32),
            labels=(self.labels * self.mask).astype(np.float32),
            session=np.append(0, np.cumsum(self.end[:-1] != INSIDE)).astype(np.int32),
            user=np.zeros(ROWS, dtype=np.int32),
            timestamp=np.arange(ROWS, dtype=np.int64),
            session_end=self.end,
            split_sizes=(ROWS, 0, 0),
            label_mask=self.mask if self.missing else None,
        )
        rows = DeviceRows(table, "train", torch.device("cpu"))
        rows.schema = schema
        return rows

    def values(self, discount, logits=None):
        """The exact Q [STATES, K] of an action in every state, by default the actor's; the actor acts later on."""
        found = np.empty_like(self.actor)
        for k in range(found.shape[1]):
            own = self._solve(k, discount)
            taken = self.actor[:, k] if logits is None else logits[:, k]
            # Of another action the immediate reward differs, and what follows does not.
            found[:, k] = own + self._reward(k, taken) - self._reward(k, self.actor[:, k])
        return found

    def _known(self, state, task):
        return np.flatnonzero((self.state == state) & (self.end != CUT) & self.mask[:, task])

    def _reward(self, task, logits):
        """The mean reward in every state of the action that has this logit there."""
        rate = np.array([self.labels[self._known(s, task), task].mean() for s in range(STATES)])
        action = 1 / (1 + np.exp(-logits))
        return rate * np.log(action) + (1 - rate) * np.log(1 - action)

    def _solve(self, task, discount):
        follows = np.zeros((STATES, STATES))
        for s in range(STATES):
            known = self._known(s, task)
            for row in known:
                if self.end[row] == INSIDE:
                    follows[s, self.state[row + 1]] += 1 / len(known)
        return np.linalg.solve(np.eye(STATES) - discount * follows, self._reward(task, self.actor[:, task]))


def learnt(process, make_critics, make_context, discount, *, steps=800, actions=(0.0, 0.0), copies=1, **sizes):
    """A stage at the end of training, in full batches, every row ``copies`` times, whose steps become smaller."""
    rows = process.rows()
    context = make_context(rows, torch.tensor(process.actor[process.state], dtype=torch.float32))
    architecture = {"embedding_dim": 4, "bottom": (32,), "tower": (32,), "dropout": 0.0, **sizes}
    critics = make_critics(rows.schema, **architecture)
    stage = CriticStage(critics, context, discount=discount, soft_update=0.2, actions=TrainingActions(*actions))
    optimizer = torch.optim.Adam(stage.module.parameters(), 0.01, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    batch = rows.batch(torch.arange(len(rows)).repeat(copies))
    for _ in range(steps):
        optimizer.zero_grad()
        stage.backward(batch)
        optimizer.step()
        stage.after_step()
        schedule.step()
    return stage


def q(stage, process, logits=None):
    """What the critics say of an action in every state, by default the actor's."""
    rows = stage.train.rows
    first = torch.tensor([int(np.flatnonzero(process.state == s)[0]) for s in range(STATES)])
    taken = torch.tensor(process.actor if logits is None else logits, dtype=torch.float32)
    with torch.no_grad():
        return stage.critics.eval()(rows.batch(first), taken).numpy()


def test_the_process_is_one_where_the_discount_and_the_actor_matter():
    process = Process(TASKS)
    assert set(process.end) == {INSIDE, END, CUT}
    near, far = process.values(0.0), process.values(0.95)
    assert (far < near - 0.2).all()
    # The linear system against the sum of rewards along many of its own paths.
    rng, total = np.random.default_rng(0), []
    starts = {s: process._known(s, 0) for s in range(STATES)}
    for _ in range(4000):
        state, factor, paid = 0, 1.0, 0.0
        while True:
            row = rng.choice(starts[state])
            action = 1 / (1 + np.exp(-ACTOR[state, 0]))
            paid += factor * np.log(action if process.labels[row, 0] else 1 - action)
            if process.end[row] != INSIDE:
                break
            state, factor = process.state[row + 1], factor * 0.95
        total.append(paid)
    assert np.mean(total) == pytest.approx(far[0, 0], abs=4.5 * np.std(total) / np.sqrt(len(total)))


@pytest.mark.parametrize("tasks", [1, 2, 3])
@pytest.mark.parametrize("discount", [0.0, 0.5, 0.95])
def test_values_become_the_exact_ones(discount, tasks, make_critics, make_context):
    process = Process(tasks)
    stage = learnt(process, make_critics, make_context, discount)
    np.testing.assert_allclose(q(stage, process), process.values(discount), rtol=0, atol=1e-3)


@pytest.mark.parametrize("sizes", [{"shared_bottom": False}, {"twin": True}], ids=["separate", "twin"])
def test_so_they_do_without_a_shared_bottom_and_with_twins(sizes, make_critics, make_context):
    process = Process(2)
    stage = learnt(process, make_critics, make_context, 0.95, **sizes)
    np.testing.assert_allclose(q(stage, process), process.values(0.95), rtol=0, atol=1e-3)


def test_with_missing_labels_they_are_those_of_the_labels_known(make_critics, make_context):
    process = Process(2, missing=True)
    assert np.abs(process.values(0.95) - Process(2).values(0.95)).max() > 0.05
    stage = learnt(process, make_critics, make_context, 0.95)
    np.testing.assert_allclose(q(stage, process), process.values(0.95), rtol=0, atol=1e-3)


def test_noise_and_uniform_actions_teach_the_values_of_other_actions(make_critics, make_context):
    process = Process(2)
    stage = learnt(process, make_critics, make_context, 0.5, steps=1500, actions=(3.0, 0.1), copies=8)
    for logit in (-4.0, -2.0, 0.0, 2.0):
        logits = np.full((STATES, 2), logit)
        np.testing.assert_allclose(q(stage, process, logits), process.values(0.5, logits), rtol=0, atol=0.15)
    np.testing.assert_allclose(q(stage, process), process.values(0.5), rtol=0, atol=0.1)


def test_without_noise_other_actions_are_not_learnt(make_critics, make_context):
    # What noise is there for: the same tolerance is missed by far where the actor's action alone was seen.
    process = Process(2)
    stage = learnt(process, make_critics, make_context, 0.5)
    logits = np.full((STATES, 2), -4.0)
    assert np.abs(q(stage, process, logits) - process.values(0.5, logits)).max() > 0.3
