"""What a CUDA device makes of the trainings: ``python -m benchmarks.gpu_figures --json FILE [--sections ...]``.

=========  ============================================================================================================
section    figures
=========  ============================================================================================================
step       one step of MMoE, by precision, eager and recorded: milliseconds, TFLOP/s, shares of the limits
seeds      a step of 1 to 16 seeds side by side, relative to one: MMoE, PLE and shared-bottom
agreement  trainings side by side against each alone, dropout off: largest differences of losses and AUC
precision  TF32 and bfloat16 against float32: AUC and logloss of MMoE on simulated sessions
metrics    AUC, GAUC and session logloss of ten million rows, and their distance from numpy's
paper      the suite ``paper``: every stage's step and validation, ten seeds side by side, projected to the suite
=========  ============================================================================================================

Sizes are the plugins' defaults in RetailRocket's schema, 2,048 rows a batch, if nothing else is said. Every figure is a
line of JSON in FILE as soon as it is known. ``--tiny``: only whether everything runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import paper_suite
from benchmarks.clock import least_seconds, seconds
from benchmarks.limits import limits_of, processor
from benchmarks.matrix_products import Replay, record
from benchmarks.official_sizes import official_sizes, random_data
from benchmarks.stage_times import Measured, free_memory, new_trainers, stage_times, training_rows
from benchmarks.trainings import Data
from rmtl_bench.contracts.metric import Predictions
from rmtl_bench.metrics import on_device, probability, ranking
from rmtl_bench.plugins import Registry, load_plugins
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide
from rmtl_bench.training.settings import PRECISIONS
from rmtl_bench.training.trainer import Trainer

Row = dict[str, Any]
TINY: Mapping[str, Any] = {"embedding_dim": 8, "bottom": (32, 16), "tower": (8,)}
SMALL: Mapping[str, Any] = {"embedding_dim": 16, "bottom": (64, 32), "tower": ()}
LIMIT_NAMES = {"float32": "float32", "tf32": "tf32", "bf16": "bfloat16"}
AT_SMALL_SIZES = 256
"""Rows of a batch at small sizes."""


class Figures:
    """Makes the figures of one device; ``tiny``: at sizes that show nothing but whether all runs."""

    def __init__(self, registry: Registry, device: str, tiny: bool) -> None:
        self.registry = registry
        self.device = device
        self.tiny = tiny
        self.precisions = PRECISIONS if device == "cuda" else ("float32",)

    def sizes(self, **given: Any) -> dict[str, Any]:
        """Return a backbone's parameters: the plugins' own defaults but for those given."""
        return {**(TINY if self.tiny else {}), **given}

    def step(self) -> Iterator[Row]:
        """Yield the figures of one step of MMoE."""
        data = random_data(self.registry, "retailrocket", training_rows(), 256, self.device)
        limits = {} if self.tiny else limits_of(self.device).matrix_product
        for precision in self.precisions:
            for recorded in (False, True):
                products: list[tuple[int, float]] = []
                trainers = self.trainers(data, "mmoe", 1, precision=precision)
                (found,) = stage_times(
                    trainers,
                    30,
                    recorded=recorded,
                    validate=False,
                    beside=lambda of, found=products: found.append(_products(of)),
                )
                ((flops, alone),) = products
                rate = flops / found.step
                yield {
                    "precision": precision,
                    "recorded": found.recorded,
                    "milliseconds": 1e3 * found.step,
                    "tflops": rate / 1e12,
                    "share of the largest product's rate": rate / limits.get(LIMIT_NAMES[precision], float("nan")),
                    "share of its own products": alone / found.step,
                    "parameters": sum(p.numel() for p in trainers[0].backbone.parameters()),
                }

    def seeds(self) -> Iterator[Row]:
        """Yield the time of a step of several seeds."""
        plans = [("small", "shared-bottom", "float32"), ("small", "mmoe", "float32")]
        plans += [("retailrocket", "shared-bottom", precision) for precision in self.precisions[:2]]
        plans += [("retailrocket", "mmoe", precision) for precision in self.precisions]
        plans += [("retailrocket", "ple", precision) for precision in self.precisions[:2]]
        plans += [("kuairand-1k", "mmoe", "float32")]
        whole = {name: random_data(self.registry, name, training_rows(), 256, self.device) for name in official_sizes()}
        whole["small"] = Data.simulated(self.registry, 40 * AT_SMALL_SIZES, self.device)
        for sizes, backbone, precision in plans:
            one = 0.0
            for count in (1, 2, 4, 8, 16):
                own = SMALL if sizes == "small" else {}
                settings = {"batch_size": AT_SMALL_SIZES} if sizes == "small" else {}
                row: Row = {"sizes": sizes, "backbone": backbone, "precision": precision, "seeds": count}
                products: list[tuple[int, float]] = []
                try:
                    trainers = self.trainers(whole[sizes], backbone, count, own, precision=precision, **settings)
                    (found,) = stage_times(
                        trainers, 21, validate=False, beside=lambda of, found=products: found.append(_products(of))
                    )
                except torch.OutOfMemoryError:
                    found = None
                trainers = []
                free_memory()
                if found is None:
                    yield {**row, "out of memory": True}
                    break
                one = one or found.step
                yield {
                    **row,
                    "recorded": found.recorded,
                    "milliseconds": 1e3 * found.step,
                    "relative to one": found.step / one,
                    "share of its own products": products[0][1] / found.step,
                }

    def agreement(self) -> Iterator[Row]:
        """Yield the largest differences between seeds side by side and alone."""
        data = Data.simulated(self.registry, 2_000 if self.tiny else 100_000, self.device, held_out=20_000)
        for backbone, weighting in (("mmoe", "fixed"), ("shared-bottom", "uncertainty"), ("shared-bottom", "rmtl")):
            still = {"dropout": 0.0, **({"critic_epochs": 2, "fine_tune_epochs": 2} if weighting == "rmtl" else {})}
            given = {
                "weighting": weighting,
                "weighting_parameters": still if weighting == "rmtl" else {},
                "max_epochs": 3,
            }
            alone, together = (
                self.trainers(data, backbone, 4, {"dropout": 0.0}, patience=3, **given) for _ in range(2)
            )
            for trainer in alone:
                trainer.run()
            assert SeedsSideBySide(together).run() == [None] * 4
            row: Row = {"backbone": backbone, "weighting": weighting}
            for quantity in ("train-loss", "auc", "logloss"):
                pairs = zip(
                    (_values(t, quantity) for t in alone), (_values(t, quantity) for t in together), strict=True
                )
                row[f"largest difference of {quantity}"] = max(float(np.abs(a - b).max()) for a, b in pairs)
            yield row | {"warnings": sorted({text for trainer in together for text in trainer.history.warnings})}

    def precision(self) -> Iterator[Row]:
        """Yield AUC and logloss of the best epochs in every precision, and their distances from float32's."""
        data = Data.simulated(self.registry, 2_000 if self.tiny else 200_000, self.device, held_out=100_000)
        exact: dict[str, np.ndarray] = {}
        for name in self.precisions:
            trainers = self.trainers(data, "mmoe", 3, precision=name, max_epochs=3, patience=3)
            assert SeedsSideBySide(trainers).run() == [None] * 3
            row: Row = {"precision": name}
            for quantity in ("auc", "logloss"):
                best = np.array([_values(trainer, quantity).reshape(3, -1).mean(1)[-1] for trainer in trainers])
                exact.setdefault(quantity, best)
                row |= {quantity: best.tolist(), f"{quantity} less float32's": (best - exact[quantity]).tolist()}
            yield row

    def metrics(self) -> Iterator[Row]:
        """Yield time and exactness of the metrics."""
        rows, users = (10_000, 100) if self.tiny else (10_000_000, 100_000)
        random = np.random.default_rng(0)
        labels = (random.random(rows) < 0.1).astype(np.float32)
        # Some ties, as predictions in float32 have.
        scores = random.random(rows, dtype=np.float32).astype(np.float64)
        user, session = random.integers(0, users, rows, dtype=np.int32), np.arange(rows, dtype=np.int32) // 8
        made = Predictions(labels.astype(np.float64), scores, user, session)
        on = [torch.from_numpy(column).to(self.device) for column in (labels[:, None], scores[:, None], user, session)]
        target = torch.device(self.device)
        for name, plain, call in (
            ("auc", ranking.auc, lambda: on_device.auc(on[0], on[1])),
            ("gauc", ranking.gauc, lambda: on_device.gauc(on[0], on[1], on[2])),
            ("session logloss", probability.session_logloss, lambda: on_device.session_logloss(on[0], on[1], on[3])),
        ):
            taken = statistics.median(least_seconds(call, 1, target) for _ in range(5))
            expected: list[float] = []
            on_cpu = seconds(lambda plain=plain, expected=expected: expected.append(plain(made)))
            difference = abs(float(call().cpu()[0]) - expected[0])
            yield {
                "metric": name,
                "rows": rows,
                "milliseconds": 1e3 * taken,
                "cpu": 1e3 * on_cpu,
                "difference": difference,
            }

    def paper(self) -> Iterator[Row]:
        """Yield the stages of the suite ``paper``, and what the suite takes."""
        own: Row = {"seeds": 2, "held_out": 512, "steps": 3, "sizes": TINY} if self.tiny else {}
        metrics = {name: paper_suite.metrics_seconds(sizes) for name, sizes in official_sizes().items()}
        yield {"metrics of one run on the CPU": metrics}
        for precision in self.precisions[:2]:
            rows = []
            for row in paper_suite.measured(self.registry, self.device, precision, **own):
                rows.append(row)
                yield row
            times = paper_suite.times_of(rows)
            for what, epochs in (("assumed", paper_suite.EPOCHS), ("most", paper_suite.MOST_EPOCHS)):
                minutes = paper_suite.minutes_of_suite(times, epochs, metrics)
                yield {"epochs": what, "precision": precision, "minutes": minutes, "sum": sum(minutes.values())}

    def trainers(
        self,
        data: Data,
        backbone: str,
        seeds: int,
        sizes: Mapping[str, Any] | None = None,
        weighting: str = "fixed",
        **given: Any,
    ) -> list[Trainer]:
        """Return new trainers on some data."""
        parameters = self.sizes(**(sizes or {}))
        return new_trainers(self.registry, data, backbone, weighting, seeds, backbone_parameters=parameters, **given)


def _products(measured: Measured) -> tuple[int, float]:
    """Return the operations of a step's matrix products, and the seconds that they take alone."""
    products = record(lambda: measured.eager(measured.batches[0])).products
    replay = Replay(products)
    return replay.flops, least_seconds(replay, 5, products[0].left.device)


def _values(trainer: Trainer, quantity: str) -> np.ndarray:
    epochs = trainer.history.epochs
    return np.array([v for q, v in zip(epochs["quantity"], epochs["value"], strict=True) if q == quantity])


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the figures, and write and print each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_figures", description=__doc__.splitlines()[0])
    sections = ("step", "seeds", "agreement", "precision", "metrics", "paper")
    parser.add_argument("--json", type=Path, required=True, help="a file for the figures, a line each")
    parser.add_argument("--sections", nargs="*", choices=sections, default=sections)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="only see whether everything runs")
    given = parser.parse_args(arguments)
    figures = Figures(load_plugins().registry, given.device, given.tiny)
    began = time.perf_counter()
    with given.json.open("w") as file:

        def tell(row: Row) -> None:
            print(json.dumps({**row, "at": round(time.perf_counter() - began, 1)}), file=file, flush=True)
            print(json.dumps(row), flush=True)

        tell({"device": processor(given.device), "torch": torch.__version__})
        for section in given.sections:
            make: Callable[[], Iterator[Row]] = getattr(figures, section)
            trouble = ""
            try:
                for row in make():
                    tell({"section": section, **row})
            except Exception as error:
                trouble = f"{type(error).__name__}: {error}"
                traceback.print_exc()
            if trouble:
                tell({"section": section, "failed": trouble[:500]})
            free_memory()


if __name__ == "__main__":
    main()
