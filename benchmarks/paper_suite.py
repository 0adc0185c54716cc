"""How long the suite ``paper`` takes: every stage's step and validation measured, the rest counted.

    a cell of S seeds = sum over its stages of  epochs (steps an epoch * step + validation)
                        + predictions of the training and validation rows, where critics learn from them
                        + twice the predictions of the test rows (scores and diagnostics) + S * the metrics, on the CPU

Steps an epoch are the official training rows over the batch size. A validation is timed on fewer rows and scaled to the
official number; predictions are taken at the validation's rate. Numbers of epochs are an assumption
(:data:`EPOCHS`): what the suite's sample needed, on small data. :data:`MOST_EPOCHS` are those that the suite allows.

Stages that are the same operations are measured once: pre-training and constant weights as the plain training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import torch

from benchmarks.clock import seconds
from benchmarks.official_sizes import OfficialSizes, official_sizes, random_data
from benchmarks.stage_times import StageTime, free_memory, new_trainers, stage_times, training_rows
from benchmarks.trainings import BATCH
from rmtl_bench.contracts.metric import Predictions
from rmtl_bench.plugins import Registry, load_plugins
from rmtl_bench.training.trainer import Trainer

SEEDS = 10
DATASETS = ("retailrocket", "kuairand-1k")
SHARED = ("shared-bottom", "esmm", "mmoe", "ple")
EPOCHS = {"train": 5, "pre-train": 5, "critics": 7, "fine-tune": 3, "actor-critic": 10}
MOST_EPOCHS = {"train": 20, "pre-train": 20, "critics": 50, "fine-tune": 10, "actor-critic": 50}
CELLS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("single-task", "fixed"): ("train",),
    **{(backbone, weighting): ("train",) for backbone in SHARED for weighting in ("fixed", "uncertainty")},
    **{(backbone, "rmtl"): ("pre-train", "critics", "fine-tune") for backbone in SHARED},
    **{(backbone, "rmtl-cw"): ("pre-train", "fine-tune") for backbone in SHARED},
    ("ple", "ddpg"): ("critics", "actor-critic"),
}
"""Stages by backbone and weighting, as in the suite."""

Times = dict[tuple[str, str, str, str], tuple[float, float]]
"""Seconds of a step and of a validation at the official size, by data set, backbone, weighting and stage."""


def measured(
    registry: Registry,
    device: str,
    precision: str,
    seeds: int = SEEDS,
    held_out: int = 32_768,
    steps: int = 12,
    sizes: Mapping[str, object] | None = None,
) -> Iterator[dict[str, object]]:
    """Yield what every stage takes of ``seeds`` seeds that is not the same as another; plain trainings first.

    ``sizes``: of the backbones, where they are not the plugins' defaults. Where the seeds have no room side by side,
    half as many are measured, and counted twice: ``side by side`` says how many it were.
    """
    chains = [(backbone, "fixed") for backbone in ("single-task", *SHARED)]
    chains += [("mmoe", "rmtl"), ("ple", "ddpg"), ("mmoe", "uncertainty")]
    for dataset in DATASETS:
        official = official_sizes()[dataset]
        data = random_data(registry, dataset, training_rows(), held_out, device)
        for backbone, weighting in chains:
            make = partial(
                new_trainers, registry, data, backbone, weighting, precision=precision, backbone_parameters=sizes or {}
            )
            for stage, (count, found) in _halved(make, seeds, steps).items():
                yield {
                    "dataset": dataset,
                    "backbone": backbone,
                    "weighting": weighting,
                    "stage": stage,
                    "precision": precision,
                    "side by side": count,
                    "recorded": found.recorded,
                    "step": found.step * seeds / count,
                    "validation": found.validation * seeds / count * official.valid / held_out,
                }


def _halved(make: Callable[..., list[Trainer]], most: int, steps: int) -> dict[str, tuple[int, StageTime]]:
    """Return the times of a method's stages, each of as many seeds as have room, and how many these are."""
    times: dict[str, tuple[int, StageTime]] = {}
    count = most
    while count:
        try:
            for found in stage_times(
                make(seeds=count), steps, wanted=lambda name: name != "pre-train" and name not in times
            ):
                times[found.stage] = count, found
            break
        except torch.OutOfMemoryError:
            count //= 2
        free_memory()
    free_memory()
    return times


def metrics_seconds(sizes: OfficialSizes) -> float:
    """Return the seconds of the suite's metrics on the test rows of one run, on the CPU."""
    random = np.random.default_rng(0)
    registry_names = ("auc", "gauc", "logloss", "session-logloss", "normalised-entropy", "ece")
    metrics = [load_plugins(()).registry.find("metric", name).load() for name in registry_names]
    group = np.arange(sizes.test, dtype=np.int32)
    made = Predictions(
        (random.random(sizes.test) < 0.2).astype(np.float64), random.random(sizes.test), group // 300, group // 8
    )

    def judge() -> None:
        for metric in metrics:
            metric(made)

    return seconds(judge) * len(sizes.schema.tasks)


def times_of(rows: Iterator[Mapping[str, object]] | list[Mapping[str, object]]) -> Times:
    """Return the times of measured stages, those that are the same as others filled in."""
    times: Times = {}
    for row in rows:
        key = tuple(str(row[name]) for name in ("dataset", "backbone", "weighting", "stage"))
        times[key] = (float(row["step"]), float(row["validation"]))  # type: ignore[index, arg-type]
    return times


def seconds_of_cell(
    times: Times, dataset: str, backbone: str, weighting: str, epochs: Mapping[str, int], metrics: float, seeds: int
) -> float:
    """Return the seconds of all seeds of one cell."""
    sizes = official_sizes()[dataset]
    _, validation = times[dataset, backbone, "fixed", "train"]
    prediction = validation / sizes.valid
    total = 2 * prediction * sizes.test + seeds * metrics
    for stage in CELLS[backbone, weighting]:
        same = weighting == "rmtl-cw" or (stage in ("train", "pre-train") and weighting != "uncertainty")
        key = (dataset, backbone, "fixed", "train") if same else (dataset, backbone, weighting, stage)
        step, judged = times[key] if key in times else _inferred(times, key)
        total += epochs[stage] * (math.ceil(sizes.train / BATCH) * step + judged)
        if stage == "critics":
            total += prediction * (sizes.train + sizes.valid)
    return total


def _inferred(times: Times, key: tuple[str, str, str, str]) -> tuple[float, float]:
    """Return the times of a stage that MMoE alone was measured in: critics take the same for every backbone, and
    another weighting's share of the plain training's time is taken to be the same.
    """
    dataset, backbone, weighting, stage = key
    step, judged = times[dataset, "mmoe", weighting, stage]
    if stage == "critics":
        return step, judged
    plain, own = times[dataset, "mmoe", "fixed", "train"], times[dataset, backbone, "fixed", "train"]
    return own[0] * step / plain[0], own[1]


def minutes_of_suite(
    times: Times, epochs: Mapping[str, int], metrics: Mapping[str, float], seeds: int = SEEDS
) -> dict[str, float]:
    """Return the minutes of the suite's cells by data set."""
    return {
        dataset: sum(seconds_of_cell(times, dataset, *cell, epochs, metrics[dataset], seeds) for cell in CELLS) / 60
        for dataset in DATASETS
    }
