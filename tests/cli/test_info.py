"""``rmtl-bench info``: what a plugin says of one thing, its parameters with what they take."""

from __future__ import annotations

import json
import re

import pytest


@pytest.fixture
def shown(rmtl_bench, toy_plugin):
    """What is shown of one offer of the toys."""

    def run(*arguments):
        files = ("--plugin", toy_plugin, "--plugin", toy_plugin.with_name("solver_plugin.py"))
        done = rmtl_bench("info", *arguments, *files, env={"RMTL_BENCH_LOAD_PLUGINS": ""})
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def test_everything_a_weighting_says_of_itself_is_shown(shown):
    lines = dict(line.split(":", 1) for line in shown("weighting", "solver-weights").split("\n\n")[0].splitlines())
    assert {key: text.strip() for key, text in lines.items() if key not in ("origin", "target", "version")} == {
        "name": "solver-weights",
        "kind": "weighting",
        "summary": "weights that solve | something",
        "paper": "Solver et al., Solving It, CONF 2024, arXiv 2401.00001",
        "year": "2024",
        "differs": "elsewhere it is not solved",
        "requires": "shared-parameters",
        "needs": "no_such_solver",
        "lacking": "no_such_solver",
        "install": "pip install no-such-solver",
        "form": "gradient",
        "cost": "one backward pass a task",
    }


def test_parameters_are_shown_with_what_they_take(shown):
    heading, _, width = shown("backbone", "toy-logistic").split("\n\n")[1].splitlines()
    assert heading.split() == ["parameter", "default", "takes", "meaning"]
    assert re.split(r" {2,}", width) == ["width", "4", "a whole number of at least 1", "width of everything"]
    assert "one of 'learn', 'raise'," in shown("weighting", "toy-equal")


def test_json_has_the_bounds_that_there_are(shown):
    def parameters(*arguments):
        return json.loads(shown(*arguments, "--json"))["parameters"]

    rate = {"default": 0.5, "kind": "float", "takes": "a number from 0 to 1", "help": "how much of it", "choices": []}
    assert parameters("weighting", "solver-weights") == {"rate": {**rate, "minimum": 0, "maximum": 1}}
    width = parameters("backbone", "toy-logistic")["width"]
    assert width["minimum"] == 1
    assert "maximum" not in width
    behaviour = parameters("weighting", "toy-equal")["behaviour"]
    assert behaviour["choices"][:3] == ["learn", "raise", "kill"]
    assert not {"minimum", "maximum"} & behaviour.keys()


def test_a_suite_with_something_added_is_shown_as_it_is_run(shown, toy_suite):
    suite = json.loads(shown("suite", f"{toy_suite}+toy-heir", "--json"))
    assert (suite["name"], suite["file"]) == ("toy+toy-heir@1", str(toy_suite))
    assert suite["weightings"] == ["toy-equal", "toy-mgda", "toy-heir"]
