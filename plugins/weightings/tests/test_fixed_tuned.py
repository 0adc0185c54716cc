from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rmtl_bench.contracts import UsageError
from rmtl_bench_weightings.fixed_tuned import simplex_grid


@given(tasks=st.integers(1, 4), candidates=st.integers(1, 40))
def test_the_grid_is_even_whole_and_within_its_number(tasks, candidates):
    grid = simplex_grid(tasks, candidates)
    assert grid[0] == (1.0,) * tasks
    assert 1 <= len(grid) <= candidates
    assert len(set(grid)) == len(grid)
    for point in grid:
        assert min(point) > 0
        assert math.isclose(sum(point), tasks)
    whole = {tuple(round(w, 9) for w in point) for point in grid}
    assert all(permuted in whole for point in whole for permuted in itertools.permutations(point))


@pytest.mark.parametrize(
    ("tasks", "candidates", "expected"),
    [
        (2, 3, [(1.0, 1.0), (0.5, 1.5), (1.5, 0.5)]),
        (2, 9, [(1.0, 1.0), *((w / 5, 2 - w / 5) for w in (1, 2, 3, 4, 6, 7, 8, 9))]),
        (3, 4, [(1.0, 1.0, 1.0), (0.75, 0.75, 1.5), (0.75, 1.5, 0.75), (1.5, 0.75, 0.75)]),
    ],
)
def test_the_finest_grid_of_so_many_points_is_taken(tasks, candidates, expected):
    assert [tuple(round(w, 9) for w in point) for point in simplex_grid(tasks, candidates)] == [
        tuple(round(w, 9) for w in point) for point in expected
    ]


def test_it_is_the_training_under_the_best_candidate_bit_for_bit(make, make_trainer):
    alone = {}
    for weights in simplex_grid(2, 5):
        trainer = make_trainer(make("fixed", weights=list(weights)), max_epochs=3)
        trainer.run()
        alone[weights] = (trainer.validate().score, trainer.backbone.state_dict())
    best = max(alone, key=lambda weights: alone[weights][0])

    tuned = make("fixed-tuned", candidates=5, epochs=15)
    trainer = make_trainer(tuned, max_epochs=99)
    history = trainer.run()
    assert tuned.chosen.tolist() == pytest.approx(list(best))
    assert tuned.kept()["weights"].tolist() == tuned.chosen.tolist()
    assert all(torch.equal(value, alone[best][1][key]) for key, value in trainer.backbone.state_dict().items())
    assert trainer.validate().score == alone[best][0] >= alone[1.0, 1.0][0]
    assert [stage.name for stage in history.stages] == [f"candidate-{number}" for number in range(1, 6)]
    assert len({alone[weights][0] for weights in alone}) > 1
    assert [(d.task, d.quantity, round(d.value, 5)) for d in tuned.diagnose(trainer, trainer.valid)] == [
        (f"t{k}", "tuned-weight", round(weight, 5)) for k, weight in enumerate(best)
    ]


@pytest.mark.parametrize(("tasks", "candidates"), [(1, 9), (2, 1)])
def test_where_there_is_nothing_to_tune_it_is_a_plain_training_in_as_many_epochs(tasks, candidates, make, make_trainer):
    plain, tuned = make_trainer(make("fixed", tasks)), make_trainer(make("fixed-tuned", tasks, candidates=candidates))
    assert [stage.epochs for stage in plain.run().stages] == [stage.epochs for stage in tuned.run().stages]
    found = tuned.backbone.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in plain.backbone.state_dict().items())


def test_candidates_share_the_budget_of_epochs(make, make_trainer):
    history = make_trainer(make("fixed-tuned", candidates=3, epochs=8), patience=50, max_epochs=99).run()
    assert [stage.epochs for stage in history.stages] == [2, 2, 2]
    assert sum(stage.epochs for stage in history.stages) <= 8


def test_less_than_an_epoch_a_candidate_is_refused(make):
    with pytest.raises(UsageError, match="'fixed-tuned': parameter 'epochs' is 4; it takes at least 5, one for each"):
        make("fixed-tuned", candidates=5, epochs=4)
