"""Every check of backbones and of descriptions finds the backbone that breaks it."""

from __future__ import annotations

import re

import pytest

from rmtl_bench.testing import Subject, checks_of, find_subjects, run_check

WRONG = [
    ("Shouting_Name", "description-is-complete", "the name is 'Shouting_Name'; write it in lower case"),
    ("says-nothing", "description-is-complete", "the summary is ''; say in one line what it is"),
    ("no-help", "description-is-complete", "parameter 'width' has no help text; say in a few words"),
    ("no-target", "target-can-be-loaded", "has no 'Missing'; let target = .* name a class"),
    ("another-default", "parameters-are-those-of-the-constructor", "default 8 in the constructor and 16 in its desc"),
    ("unknown-parameter", "parameters-are-those-of-the-constructor", "no parameter 'depth', which is described; take"),
    ("impossible-default", "defaults-are-allowed-values", "'width' is 8; it takes one of 4, 16; change the default"),
    ("twice", "name-is-free", "claimed by .* and .*; choose another name"),
    ("no-backbone", "any-number-of-tasks-and-rows", "makes a NoBackbone; let the class derive from Backbone"),
    ("two-tasks", "any-number-of-tasks-and-rows", r"returns \(1, 2\) for 1 rows and 1 tasks; return one logit a row"),
    ("no-children", "tasks-without-parents-and-with", "it raised NotImplementedError: no task may have a parent"),
    ("deaf-to-numbers", "fields-and-numbers-are-used", "the same whatever number 'x' is; use every column"),
    ("peeking", "labels-do-not-reach-the-logits", "change with batch.labels; use batch.categorical and"),
    ("centred-by-batch", "rows-do-not-influence-each-other", "first row change with the others; normalise by"),
    ("scribbling", "batch-is-not-changed", "a forward pass changes batch.numerical; work on a copy"),
    ("with-spare", "gradients-reach-every-parameter", "no gradient reaches parameter 'spare.weight'; use it"),
    ("seeds-itself", "same-seed-gives-the-same-model", "models of two seeds have the same weights; do not seed"),
    ("of-numpy", "no-other-randomness", "global generator of NumPy; draw from torch's default"),
    ("always-drops-out", "no-other-randomness", "draws random numbers in evaluation; draw only while self.training"),
    ("forgetful", "saved-and-loaded-it-is-the-same", "gives other logits; keep what it has learnt or drawn in"),
    ("shares-in-secret", "shared-parameters-are-shared", "are 2, and the description does not provide"),
    ("shares-too-much", "shared-parameters-are-shared", "is an embedding table; leave embeddings out"),
    ("shares-a-head", "shared-parameters-are-shared", "the loss of 'task-1' does not depend on 'heads.0.weight'"),
    ("another-representation", "shared-representation-is-shared", "was not made from the representation; return"),
    ("upset-by-masks", "missing-labels-harm-no-other-task", "it raised RuntimeError: a label is missing"),
    ("lazy", "learns-within-the-reference-band", "it has learnt .* of the tasks, under 40%; look at the init"),
    ("peeking", "learns-within-the-reference-band", "better than the true probabilities; the labels of the rows"),
]


@pytest.fixture(scope="module")
def subject_called(host_of):
    host = host_of("wrong_backbones.py")

    def find(name):
        if name == "twice":
            taken = [entry for entry in host.registry.entries("backbone") if entry.info.name == name]
            return Subject(taken[0], host)
        return find_subjects(host, name, "backbone")[0]

    return find


@pytest.mark.parametrize("check", checks_of("backbone"), ids=lambda check: check.name)
def test_a_right_backbone_passes(check, subject_called):
    finding = run_check(check, subject_called("right"))
    assert finding.state == "ok" or (check.name, finding.state) == ("listing-imports-no-torch", "not applicable")


@pytest.mark.parametrize(("name", "check", "message"), WRONG)
def test_a_wrong_backbone_is_caught_with_what_to_change(name, check, message, subject_called, find):
    finding = find(subject_called(name), check)
    assert finding.state == "broken"
    assert re.search(message, finding.message), finding.message


def test_every_check_has_a_wrong_backbone_that_it_catches():
    caught = {check for _, check, _ in WRONG}
    # A distribution is needed for that: see test_listing.py.
    assert caught | {"listing-imports-no-torch"} == {check.name for check in checks_of("backbone")}
