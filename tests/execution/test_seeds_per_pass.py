from __future__ import annotations

import pytest

from rmtl_bench.contracts.stack import NotStackableError
from rmtl_bench.execution.seeds_per_pass import GAIN, STEPS, fastest_size


@pytest.fixture
def fastest(monkeypatch):
    """Find the fastest size where a step takes the seconds given by size; an exception is raised."""

    def fastest(seconds, most):
        tried = []

        def measure(trainers, steps):
            assert steps == STEPS
            tried.append(len(trainers))
            found = seconds[len(trainers)]
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr("rmtl_bench.execution.seeds_per_pass.seconds_of_first_steps", measure)
        return fastest_size(lambda size: [object()] * size, most), tried

    return fastest


def test_the_size_with_the_least_time_a_seed_is_taken(fastest):
    assert fastest({1: 1.0, 2: 1.2, 4: 1.6, 8: 3.3}, 8) == (4, [1, 8, 4, 2])
    assert fastest({1: 1.0, 2: 1.2, 4: 1.6, 8: 3.0}, 8)[0] == 8
    assert fastest({1: 1.0, 2: 2.5, 5: 7.0, 10: 20.0}, 10) == (1, [1, 10, 5, 2])


def test_side_by_side_has_to_be_worth_it(fastest):
    assert fastest({1: 1.0, 2: 2 * GAIN}, 2)[0] == 1
    assert fastest({1: 1.0, 2: 2 * GAIN - 0.01}, 2)[0] == 2


def test_one_seed_is_not_measured(fastest):
    assert fastest({}, 1) == (1, [])


def test_a_size_that_fails_is_passed_over(fastest):
    memory = MemoryError()
    assert fastest({1: 1.0, 3: 2.0, 6: memory}, 6)[0] == 3
    refused = NotStackableError("no")
    assert fastest({1: 1.0, 2: refused, 4: refused}, 4)[0] == 1


def test_where_not_even_one_seed_can_be_tried_the_runs_will_say_why(fastest):
    error = RuntimeError("the first step fails")
    assert fastest({1: error, 2: error, 4: error}, 4)[0] == 1


def test_trainers_that_cannot_be_made_are_passed_over(fastest, monkeypatch):
    def trainers(size):
        if size > 2:
            raise ValueError("the third cannot be made")
        return [object()] * size

    monkeypatch.setattr("rmtl_bench.execution.seeds_per_pass.seconds_of_first_steps", lambda made, steps: 1.0)
    assert fastest_size(trainers, 4) == 2
