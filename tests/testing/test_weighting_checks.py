"""Every check of weightings finds the weighting that breaks it."""

from __future__ import annotations

import re

import pytest

from rmtl_bench.testing import checks_of, find_subjects, run_check

RIGHT = ["rightloss", "rightgradient", "rightstaged"]
WRONG = [
    ("says-no-form", "form-is-that-of-the-base-class", "a LossWeighting, .* form = ''; state form = 'loss'"),
    ("says-another-form", "form-is-that-of-the-base-class", "has form = 'gradient'; state form = 'loss'"),
    ("ofnoform", "form-is-that-of-the-base-class", "OfNoForm derives from Weighting alone; derive from LossW"),
    ("noweighting", "form-is-that-of-the-base-class", "makes a NoWeighting; let the class derive from LossW"),
    ("twoweights", "any-number-of-tasks", r"are \(2,\) \(stage 'train', 1 task\); return a tensor of shape \(1,\)"),
    ("notdetached", "any-number-of-tasks", r"carry a gradient .*; return weights.detach\(\)"),
    ("deviating", "any-number-of-tasks", r"reports weights \[nan\] .*; look at divisions"),
    ("squared", "one-task-alone-is-plain-training", "differs after training .*; give a single task the weight 1"),
    ("leavestracks", "same-seed-gives-the-same-numbers", "differ in the weights .*; let nothing depend on the clock"),
    (
        "ofpython",
        "draws-come-from-its-own-generator",
        "draws from the global generator of Python; draw from self.gener",
    ),
    ("ofnumpy", "draws-come-from-its-own-generator", "draws from the global generator of NumPy; draw from self.gener"),
    ("oftorch", "draws-come-from-its-own-generator", "a step draws from torch's global generator, .*; draw from s"),
    ("bornatrandom", "draws-come-from-its-own-generator", "draws from the global generator of torch; draw from self"),
    ("deviatesbytorch", "draws-come-from-its-own-generator", "another state of the global generators changes the wei"),
    ("forgetful", "broken-off-and-gone-on-it-is-the-same", "it differs in the weights .*; keep what .*register_buffer"),
    ("oddstate", "broken-off-and-gone-on-it-is-the-same", "does not go on from its checkpoint: .*; keep what"),
    ("latebuffer", "broken-off-and-gone-on-it-is-the-same", "its checkpoint is of no use: .*; keep what it carries"),
    ("oddstate", "state-is-made-of-tensors-and-numbers", "cannot be saved and loaded: .*; keep tensors, numbers"),
    ("latebuffer", "state-is-made-of-tensors-and-numbers", "cannot be given its state_dict: .*; register every buf"),
    ("scribbling", "batches-are-left-as-they-were", "changes batch.session in place; work on a copy"),
    ("rewriting", "reported-weights-stay-as-they-were", "are changed afterwards, .*; return a copy"),
    ("keepsthebackbone", "backbone-is-left-to-the-stages", "parameter 'backbone.* is the backbone's .*; keep no"),
    ("freezes", "backbone-is-left-to-the-stages", "requires_grad of the backbone's .* is another .*; set it back"),
    ("inverse", "missing-labels-harm-no-other-task", "the training diverges: .*; leave a task without a known"),
    ("nanforthemissing", "missing-labels-harm-no-other-task", r"reports weights \[1, nan\]; leave a task without"),
    (
        "onlythesmallest",
        "missing-labels-harm-no-other-task",
        "the other has learnt .*%.*, under 30%; leave a task without",
    ),
    ("backwards", "learns-within-the-reference-band", "it has learnt -.*; look at the sign and size"),
    ("firstfirst", "no-task-is-favoured", r"have weights \[1, 0.5, 0.3333\] instead of .*; treat every task alike"),
    ("reportsones", "reported-weights-are-those-used", "times those under the reported weights; report the deriv"),
    ("inverse", "extreme-losses-give-finite-numbers", r"losses of 0 lead to weights of \[inf, .*; keep divisors"),
    ("lengths", "extreme-losses-give-finite-numbers", r"of size 0 lead to weights of \[inf, .*; keep divisors"),
    ("plainmean", "rows-without-labels-count-for-nothing", r"change the loss from .*; take losses.mean\(\)"),
    ("clampslosses", "losses-and-gradients-are-left-as-they-were", "changes losses.per_sample in place; work on"),
    ("scribbling", "losses-and-gradients-are-left-as-they-were", "changes batch.session in place; work on a copy"),
    ("scalesgradients", "losses-and-gradients-are-left-as-they-were", "the tasks' gradients in place; work on"),
    ("othersidebyside", "side-by-side-it-gives-the-same-numbers", "side by side, seed 0 has weights .*; let combine"),
]
# Those are tried on backbones.
OF_DESCRIPTIONS = {check.name for check in checks_of("weighting") if "description" in check.function.__module__}


@pytest.fixture(scope="module")
def subject_called(host_of):
    return lambda name: find_subjects(host_of("wrong_weightings.py"), name, "weighting")[0]


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_weighting_passes_every_check(name, subject_called):
    findings = [run_check(check, subject_called(name)) for check in checks_of("weighting")]
    assert [finding for finding in findings if finding.state == "broken"] == []
    applied = {finding.check for finding in findings if finding.state == "ok"}
    assert {"any-number-of-tasks", "broken-off-and-gone-on-it-is-the-same"} <= applied


def test_what_is_asked_of_one_form_alone_applies_to_that_form(subject_called):
    pairs = [
        ("rightgradient", "no-task-is-favoured"),
        ("rightrows", "reported-weights-are-those-used"),
        ("rightgradient", "extreme-losses-give-finite-numbers"),
        ("rightrows", "rows-without-labels-count-for-nothing"),
        ("rightgradient", "losses-and-gradients-are-left-as-they-were"),
        ("rightrows", "side-by-side-it-gives-the-same-numbers"),
        ("rightrows", "one-task-alone-is-plain-training"),
    ]
    checks = {check.name: check for check in checks_of("weighting")}
    states = {name: run_check(checks[name], subject_called(right)).state for right, name in pairs}
    assert set(states.values()) == {"ok"}


@pytest.mark.parametrize(("name", "check", "message"), WRONG)
def test_a_wrong_weighting_is_caught_with_what_to_change(name, check, message, subject_called, find):
    finding = find(subject_called(name), check)
    assert finding.state == "broken"
    assert re.search(message, finding.message), finding.message


def test_every_check_has_a_wrong_weighting_that_it_catches():
    caught = {check for _, check, _ in WRONG}
    assert caught | OF_DESCRIPTIONS == {check.name for check in checks_of("weighting")}


def test_weights_that_are_drawn_are_not_compared_in_another_order(subject_called, find):
    finding = find(subject_called("rightloss"), "no-task-is-favoured")
    assert (finding.state, finding.message) == ("not applicable", "its weights are drawn at random")


def test_one_whose_modules_are_not_installed_is_not_looked_at(subject_called, find):
    finding = find(subject_called("needsmore"), "any-number-of-tasks")
    assert finding.state == "not applicable"
    assert "not_there, which is not installed; type: pip install not-there" in finding.message
