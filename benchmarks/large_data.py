"""Training on more rows than memory holds: 50 million simulated rows under a limit of 4 GB.

``python -m benchmarks.large_data FOLDER [--rows N] [--limit-gb G] [--small N] [--methods A/B ...] [--json FILE]``

Each part is a process of its own under the limit (:mod:`benchmarks.limited` says which limit it is): the preparation of
the table, the training of one epoch, with its test, metrics and written predictions, and the same training on a table
that is small enough to be resident, rows resident and mapped, shuffled whole and by blocks. Batches of the large table
are also read without training on them, with nothing of the files in the system's cache. ``FOLDER`` takes the tables,
and nothing is removed from it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.limited import Limited, limit_this_process, run_limited

GB = 10**9
SPLIT = (0.8, 0.1, 0.1)
METHODS = ("shared-bottom/fixed", "shared-bottom/uncertainty")
SHUFFLES = ("rows", "blocks")
RESIDENCES = ("resident", "mapped")
TRAINER = {"max_epochs": 1, "batch_size": 4096, "evaluation_batch_size": 8192}
BACKBONE = {"embedding_dim": 8, "bottom": [64, 32], "tower": [16]}
"""A model so small that reading the rows is a part of a step that shows; any other takes longer over the same rows."""
METRICS = ("auc", "gauc", "logloss", "session-logloss", "normalised-entropy", "ece")


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    options = _options()
    if options.part:
        limit_this_process(round(options.limit_gb * GB))
        print(json.dumps(_PARTS[options.part](options)))
        return
    large = {"rows": options.rows}
    parts = {"preparation": _measure(options, "prepare", **large)}
    parts["resident"] = _measure(options, "train", **large, residence="resident", shuffle="blocks")
    for method in options.methods:
        parts[f"{method}, mapped"] = _measure(options, "train", **large, method=method, shuffle="blocks")
    for turn, shuffle in itertools.product(range(options.turns), SHUFFLES):
        name = f"reading alone, {shuffle}, cold, turn {turn}"
        parts[name] = _measure(options, "read", **large, residence="mapped", shuffle=shuffle, cold=True)
    _measure(options, "prepare", rows=options.small)
    for turn, residence, shuffle, cold in itertools.product(range(options.turns), RESIDENCES, SHUFFLES, (False, True)):
        name = f"{options.small} rows, {residence}, {shuffle}, {'cold' if cold else 'warm'}, turn {turn}"
        parts[name] = _measure(
            options, "train", rows=options.small, residence=residence, shuffle=shuffle, cold=cold, method=METHODS[0]
        )
    if options.json:
        options.json.write_text(json.dumps({name: vars(part) for name, part in parts.items()}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--small", type=int, default=2_000_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--limit-gb", type=float, default=4.0)
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--part", choices=tuple(_PARTS), default="")
    parser.add_argument("--method", default=METHODS[0])
    parser.add_argument("--residence", choices=("auto", *RESIDENCES), default="auto")
    parser.add_argument("--shuffle", choices=SHUFFLES, default="rows")
    parser.add_argument("--cold", action="store_true")
    return parser.parse_args()


def _measure(options: argparse.Namespace, part: str, **given: Any) -> Limited:
    arguments = [str(options.folder), "--part", part, "--limit-gb", str(options.limit_gb)]
    for name, value in given.items():
        if value is True:
            arguments.append(f"--{name}")
        elif value is not False:
            arguments += [f"--{name}", str(value)]
    ended = run_limited("benchmarks.large_data", arguments, round(options.limit_gb * GB))
    peaks = ", ".join(f"{name} {size / GB:.2f} GB" for name, size in sorted(ended.peaks.items()))
    print(f"{part} {given}: exit {ended.returncode}, {ended.seconds:.1f} s\n  peaks: {peaks}")
    print(f"  {ended.error or json.dumps(ended.result)}", flush=True)
    return ended


def _table(options: argparse.Namespace) -> tuple[Any, Any, Any, str]:
    """Return the registry, the sources, the simulated data set as a component, and its fingerprint."""
    from benchmarks.trainings import component
    from rmtl_bench.execution.sources import DataSources
    from rmtl_bench.plugins import load_plugins

    registry = load_plugins().registry
    dataset = component(registry, "dataset", "simulated", rows=options.rows, split=list(SPLIT))
    sources = DataSources(registry, options.folder / "raw", options.folder / "cache")
    return registry, sources, dataset, sources.fingerprint(dataset)


def _prepare(options: argparse.Namespace) -> dict[str, Any]:
    started = time.perf_counter()
    _, sources, dataset, fingerprint = _table(options)
    folder: Path = sources.prepare(dataset, fingerprint)
    size = sum(path.stat().st_size for path in folder.iterdir())
    return {"gigabytes": size / GB, "seconds": time.perf_counter() - started}


def _train(options: argparse.Namespace) -> dict[str, Any]:
    """Train one epoch, test, and write the predictions, as a run does; rows a second are those of the epoch's steps."""
    os.environ["RMTL_BENCH_ROWS"] = options.residence
    from benchmarks.trainings import component
    from rmtl_bench.contracts.cell import Cell
    from rmtl_bench.execution.memory import keep_freed_memory
    from rmtl_bench.execution.run_cell import run_cell
    from rmtl_bench.store.run_files import write_predictions
    from rmtl_bench.training.settings import TrainerSettings

    keep_freed_memory()
    registry, sources, dataset, fingerprint = _table(options)
    folder = sources.prepare(dataset, fingerprint)
    if options.cold:
        _forget(folder)
    names = options.method.split("/")
    backbone = component(registry, "backbone", names[0], **BACKBONE)
    weighting = component(registry, "weighting", names[1])
    settings = TrainerSettings.resolve({**TRAINER, "shuffle": options.shuffle})
    cell = Cell(dataset, fingerprint, backbone, weighting, settings.identity(), METRICS, 0)
    limit = round(options.limit_gb * GB)
    started = time.process_time()
    result = run_cell(cell, folder, registry, "cpu", lambda record: None, memory_limit=limit)
    busy = time.process_time() - started
    with tempfile.TemporaryDirectory(dir=options.folder) as written:
        write_predictions(Path(written), result.predictions)
    stages = result.facts["stages"]
    rows = result.facts["rows"]["train"] * sum(stage["epochs"] for stage in stages)
    seconds = sum(stage["steps"] * stage["step_seconds"] for stage in stages)
    return {
        "rows_a_second": rows / seconds,
        "seconds": result.facts["seconds"],
        "processor_seconds": busy,
        "error": result.error,
        "metrics": {f"{row.metric} {row.task}": row.value for row in result.metrics},
    }


def _read(options: argparse.Namespace) -> dict[str, Any]:
    """Read batches of the training split and do nothing with them: whole windows by blocks, fewer rows at random."""
    import torch

    from rmtl_bench.data.residence import open_split
    from rmtl_bench.data.storage import load_table
    from rmtl_bench.training.order import batches_of
    from rmtl_bench.training.settings import TrainerSettings

    _, sources, dataset, fingerprint = _table(options)
    folder = sources.prepare(dataset, fingerprint)
    settings = TrainerSettings.resolve({**TRAINER, "shuffle": options.shuffle})
    window = settings.shuffle_block_rows * settings.shuffle_window // settings.batch_size
    _forget(folder)
    rows = open_split(load_table(folder), "train", torch.device("cpu"), mapped=True)
    batches = itertools.islice(batches_of(rows, [0], settings), 4 * window if options.shuffle == "blocks" else 50)
    started = time.perf_counter()
    read = sum(len(rows.batch(positions)) for positions in batches)
    return {"rows": read, "rows_a_second": read / (time.perf_counter() - started)}


def _forget(folder: Path) -> None:
    """Let the system forget what it keeps of a table's files in memory."""
    for path in folder.glob("*.npy"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


_PARTS = {"prepare": _prepare, "train": _train, "read": _read}

if __name__ == "__main__":
    sys.exit(main())
