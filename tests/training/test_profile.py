from __future__ import annotations

import gzip
import json

import pytest
import torch

from rmtl_bench.contracts.spans import recording
from rmtl_bench.training import profile as profile_module
from rmtl_bench.training.device_operations import DeviceOperations
from rmtl_bench.training.profile import TRACED_STAGES, TRACED_STEPS, Profile
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide

STEPS = 23
"""Of an epoch: 360 rows of the toy in batches of 16."""
CPU = torch.device("cpu")


def trained(make_trainer, profile=None, **settings):
    trainer = make_trainer(batch_size=16, **settings)
    with recording(profile):
        trainer.run()
    return trainer


def read_trace(profile, folder):
    profile.write_trace(folder / "trace.json.gz")
    return json.loads(gzip.decompress((folder / "trace.json.gz").read_bytes()))["traceEvents"]


def named(events, name):
    return [event for event in events if event.get("name") == name and event["ph"] == "X"]


def test_a_profile_changes_no_number(make_trainer):
    plain, profiled = trained(make_trainer), trained(make_trainer, Profile(CPU))
    seconds = [row == "seconds" for row in plain.history.epochs["quantity"]]
    for column in ("quantity", "value"):
        pairs = zip(plain.history.epochs[column], profiled.history.epochs[column], seconds, strict=True)
        assert all(one == other for one, other, timed in pairs if not timed)
    for one, other in zip(plain.backbone.parameters(), profiled.backbone.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_trace_has_the_first_steps_of_a_stage_with_their_spans(make_trainer, tmp_path):
    profile = Profile(CPU)
    trained(make_trainer, profile)
    assert profile.traced == {"train": TRACED_STEPS}
    events = read_trace(profile, tmp_path)
    for part, times in {"step": 1, "data": 1, "optimizer": 2}.items():
        assert len(named(events, part)) == times * TRACED_STEPS
    assert len(named(events, "backward")) == TRACED_STEPS
    assert named(events, f"train, step {TRACED_STEPS}")
    assert not named(events, f"train, step {TRACED_STEPS + 1}")
    assert not named(events, "evaluation")
    assert not named(events, "profile")
    assert named(events, "aten::binary_cross_entropy_with_logits")


def test_the_parts_cover_the_whole_run_and_not_the_traced_steps_alone(make_trainer):
    profile = Profile(CPU)
    epochs = trained(make_trainer, profile).history.stages[0].epochs
    assert profile.counts["step"] == STEPS * epochs
    assert profile.counts["backward"] == profile.counts["step"]
    assert profile.counts["evaluation"] == epochs
    assert profile.counts["profile"] == 2
    assert all(seconds > 0 for seconds in profile.seconds.values())


def test_an_epoch_of_few_steps_is_traced_to_its_end(make_trainer):
    profile = Profile(CPU)
    trainer = make_trainer(batch_size=120)
    with recording(profile):
        trainer.run()
    assert profile.traced == {"train": 3}


def test_seeds_side_by_side_are_in_one_trace(make_trainer, make_cell, tmp_path):
    profile = Profile(CPU)
    trainers = [make_trainer(cell=make_cell(seed), batch_size=16) for seed in range(2)]
    with recording(profile):
        SeedsSideBySide(trainers).run()
    assert profile.traced == {"train": TRACED_STEPS}
    assert len(named(read_trace(profile, tmp_path), "step")) == TRACED_STEPS
    assert profile.counts["forward"] == profile.counts["step"]


def test_a_step_that_fails_ends_the_trace_and_leaves_what_there_is(make_trainer, toy, table, tmp_path):
    class Failing(toy.Equal):
        steps = 0

        def combine(self, losses, logits, batch):
            self.steps += 1
            if self.steps > 5:
                raise RuntimeError("enough")
            return super().combine(losses, logits, batch)

    profile = Profile(CPU)
    with pytest.raises(RuntimeError, match="enough"):
        trained(make_trainer, profile, weighting=Failing(table.schema.tasks))
    assert profile.traced == {"train": 5}
    assert len(named(read_trace(profile, tmp_path), "step")) == 6
    assert not torch.autograd._profiler_enabled()


def test_stages_are_traced_once_each_and_not_without_end():
    profile = Profile(CPU)
    for number in range(TRACED_STAGES):
        assert profile.steps_to_trace(f"stage {number}", 100) == TRACED_STEPS
        profile.begin_trace(f"stage {number}")
        profile.end_trace()
        assert profile.steps_to_trace(f"stage {number}", 100) == 0
    assert profile.steps_to_trace("one more", 100) == 0


@pytest.mark.parametrize("method", ["__enter__", "__exit__", "export_chrome_trace"])
def test_where_torchs_profiler_fails_the_run_goes_on(make_trainer, monkeypatch, tmp_path, method):
    ended = profile_module.TorchProfile.__exit__

    def fail(tracing, *_):
        if method == "__exit__":
            ended(tracing, None, None, None)
        raise RuntimeError("no tracing here")

    monkeypatch.setattr(profile_module.TorchProfile, method, fail)
    profile = Profile(CPU)
    trainer = trained(make_trainer, profile)
    assert trainer.history.stages
    assert profile.trouble == "RuntimeError: no tracing here"
    assert profile.counts["backward"] == profile.counts["step"] > 0
    assert profile.traced == {}
    profile.write_trace(tmp_path / "trace.json.gz")
    assert not list(tmp_path.iterdir())


def test_spans_are_no_operations_that_a_graph_could_not_repeat():
    profile = Profile(CPU)
    profile.begin_trace("train")
    with DeviceOperations(CPU) as operations, recording(profile), profile.annotated("forward"):
        torch.ones(2) + 1
    profile.end_trace()
    assert operations.found == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_profile_on_a_gpu_changes_no_number_and_sees_the_device(make_trainer, tmp_path):
    profile = Profile(torch.device("cuda"))
    settings = {"device": "cuda", "batch_size": 7}
    plain, profiled = make_trainer(**settings), make_trainer(**settings)
    plain.run()
    with recording(profile):
        profiled.run()
    for one, other in zip(plain.backbone.parameters(), profiled.backbone.parameters(), strict=True):
        assert torch.equal(one, other)
    assert profile.trouble == ""
    assert profile.counts["forward"] >= profile.counts["step"] > 0
    assert any(event.get("cat") == "kernel" for event in read_trace(profile, tmp_path))
