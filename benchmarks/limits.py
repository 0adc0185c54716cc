"""The machine's own ceilings, and the models' matrix products as shares of them.

``python -m benchmarks.limits [--threads N] [--device cpu|cuda] [--models esmm mmoe ple] [--json FILE]``

=================  ====================================================================================================
limit              how it is measured, the best of several rounds
=================  ====================================================================================================
matrix product     a large square product, 2 n^3 operations; on CUDA in float32, TF32 and bfloat16
copy               256 MiB from one tensor to another; bytes read and written
gather             rows of 128 float32 at random from an embedding table larger than the caches; bytes read and written
launch             the sum of two tensors of one element, one after another
graph launch       on CUDA: the same, a thousand captured in one graph and replayed
=================  ====================================================================================================
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch

from benchmarks.clock import least_seconds, threads
from benchmarks.matrix_products import Operand, Product, Recorder, Replay, matrix_product_seconds, record
from benchmarks.trainings import BATCH, BareLoop, Data, make_trainer
from rmtl_bench.plugins import load_plugins

__all__ = ["Limits", "limits_of", "matrix_product_seconds", "shares_of_a_step"]

PRECISIONS = {
    "float32": (torch.float32, "highest"),
    "tf32": (torch.float32, "high"),
    "bfloat16": (torch.bfloat16, "highest"),
}
"""Type of the operands, and torch's precision of float32 products, by the name of the precision."""

_ROUNDS = 5
_SIDE = {"cpu": 2048, "cuda": 8192}
_COPIED_BYTES = 2**28
_TABLE_ROWS, _ROW_WIDTH, _GATHERED_ROWS = 500_000, 128, 200_000
_LAUNCHES = 1_000
_ADAM_BYTES = 28
"""What fused Adam moves a parameter: it reads gradient, parameter and two moments, and writes all but the gradient."""


@dataclass(frozen=True)
class Limits:
    """What a device can do at best.

    ``matrix_product`` in operations a second by precision, ``copy`` and ``gather`` in bytes a second, ``launch`` and
    ``graph_launch`` in small operations a second, the latter ``None`` on a CPU.
    """

    device: str
    processor: str
    threads: int
    matrix_product: Mapping[str, float]
    copy: float
    gather: float
    launch: float
    graph_launch: float | None


@cache
def limits_of(device: str) -> Limits:
    """Return the limits of ``cpu`` or ``cuda``, measured once a process, with torch's present number of threads."""
    target = torch.device(device)
    return Limits(
        device=device,
        processor=processor(device),
        threads=torch.get_num_threads(),
        matrix_product={name: _product_rate(target, name) for name in precisions(device)},
        copy=_copy_rate(target),
        gather=_gather_rate(target),
        launch=_launch_rate(target),
        graph_launch=_graph_launch_rate(target) if device == "cuda" else None,
    )


def processor(device: str) -> str:
    """Return the name of the machine's processor or GPU."""
    if device == "cuda":
        return str(torch.cuda.get_device_name())
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def precisions(device: str) -> list[str]:
    """Return the precisions that are measured on a device."""
    return list(PRECISIONS) if device == "cuda" else ["float32"]


@contextmanager
def multiplying(precision: str) -> Iterator[None]:
    """Within, products of float32 matrices are made in this precision, where the device has it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(PRECISIONS[precision][1])
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def product_rate(products: Sequence[Product], precision: str = "float32") -> float:
    """Return the operations a second of these products, one after another."""
    device = products[0].left.device
    replay = Replay(products, PRECISIONS[precision][0])
    with multiplying(precision):
        return replay.flops / least_seconds(replay, _ROUNDS, device)


def _product_rate(device: torch.device, precision: str) -> float:
    side = _SIDE[device.type]
    operand = Operand((side, side), (side, 1), torch.float32, device)
    return product_rate([Product(operand, operand)], precision)


def _copy_rate(device: torch.device) -> float:
    source = torch.ones(_COPIED_BYTES // 4, device=device)
    target = torch.zeros_like(source)
    return 2 * _COPIED_BYTES / least_seconds(lambda: target.copy_(source), _ROUNDS, device)


def _gather_rate(device: torch.device) -> float:
    table = torch.ones(_TABLE_ROWS, _ROW_WIDTH, device=device)
    rows = torch.randint(_TABLE_ROWS, (_GATHERED_ROWS,), generator=torch.Generator().manual_seed(0)).to(device)
    found = torch.zeros(_GATHERED_ROWS, _ROW_WIDTH, device=device)
    taken = least_seconds(lambda: torch.index_select(table, 0, rows, out=found), _ROUNDS, device)
    return 2 * found.numel() * found.element_size() / taken


def _launch_rate(device: torch.device) -> float:
    return _LAUNCHES / least_seconds(_small_sums(device), _ROUNDS, device)


def _graph_launch_rate(device: torch.device) -> float:
    sums, graph = _small_sums(device), torch.cuda.CUDAGraph()
    sums()
    with torch.cuda.graph(graph):
        sums()
    return _LAUNCHES / least_seconds(graph.replay, _ROUNDS, device)


def _small_sums(device: torch.device) -> Callable[[], None]:
    one, other = torch.ones(1, device=device), torch.ones(1, device=device)

    def make() -> None:
        for _ in range(_LAUNCHES):
            torch.add(one, other, out=one)

    return make


def shares_of_a_step(recorder: Recorder, products: float, seconds: float, parameters: int) -> dict[str, float]:
    """Return what the limits leave of a step's seconds: no part can be spared by better code around it.

    ``recorder`` has seen the step, ``products`` are the seconds of its matrix products alone, ``parameters`` the number
    that Adam moves. Keys say for which limit; the largest share names what bounds the step.
    """
    device = recorder.products[0].left.device.type if recorder.products else "cpu"
    limits = limits_of(device)
    return {
        "share of its matrix products": products / seconds,
        "share of copying Adam's state": _ADAM_BYTES * parameters / limits.copy / seconds,
        "share of launching its operations": recorder.operations / limits.launch / seconds,
    }


def model_products(model: str, device: str) -> list[Product]:
    """Return the matrix products of a training step of a backbone at its default sizes, 2,048 rows."""
    registry = load_plugins().registry
    data = Data.simulated(registry, BATCH, device)
    trainer = make_trainer(registry, data, model)
    rows = torch.arange(BATCH, device=device)
    return record(lambda: BareLoop(trainer.backbone, data.train).step(rows)).products


def product_rates(model: str, limits: Limits, largest: int = 6) -> dict[tuple[str, str], float]:
    """Return the rates of a model's products, all together and the largest alone, by precision and name."""
    products = model_products(model, limits.device)
    distinct = sorted(set(products), key=lambda product: -product.flops)[:largest]
    named = {f"{model}, its {len(products)} products": products, **{f"{model}, {one}": [one] for one in distinct}}
    return {
        (precision, name): product_rate(chosen, precision)
        for precision in limits.matrix_product
        for name, chosen in named.items()
    }


def figures(limits: Limits, rates: Mapping[tuple[str, str], float]) -> list[tuple[str, str, str]]:
    """Return name, figure and share of what bounds it, for every limit and for the models' products.

    What bounds a product is the fastest one that was seen in its precision, of whatever shape.
    """
    rates = {**{(name, "square matrix product"): rate for name, rate in limits.matrix_product.items()}, **rates}
    best = {name: max(rate for (own, _), rate in rates.items() if own == name) for name in limits.matrix_product}
    rows = [
        (f"{name}, {precision}", f"{rate / 1e9:,.0f} GFLOP/s", f"{rate / best[precision]:.0%} of the fastest product")
        for (precision, name), rate in rates.items()
    ]
    gathered = f"{limits.gather / limits.copy:.0%} of copying"
    memory = [
        ("copying", f"{limits.copy / 1e9:,.1f} GB/s", "the limit"),
        ("gathering embedding rows", f"{limits.gather / 1e9:,.1f} GB/s", gathered),
        ("launches", f"{limits.launch / 1e3:,.0f} thousand/s", "the limit"),
    ]
    if limits.graph_launch is not None:
        launched = f"{limits.launch / limits.graph_launch:.0%} without a graph"
        memory.append(("launches in a graph", f"{limits.graph_launch / 1e3:,.0f} thousand/s", launched))
    return memory + rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: one a core")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--models", nargs="*", default=["esmm", "mmoe", "ple"], help="whose products are made")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("this machine has no CUDA device")
    rates: dict[tuple[str, str], float] = {}
    with threads(given.threads):
        limits = limits_of(given.device)
        for model in given.models:
            rates |= product_rates(model, limits)
    rows = figures(limits, rates)
    print(f"{limits.device}: {limits.processor}, {limits.threads} threads, torch {torch.__version__}")
    for name, figure, share in rows:
        print(f"{name:46s} {figure:>18s}   {share}")
    if given.json:
        given.json.write_text(json.dumps({"limits": asdict(limits), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
