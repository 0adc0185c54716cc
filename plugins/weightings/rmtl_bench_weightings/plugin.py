"""The catalogue of this distribution; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rmtl_bench import WeightingInfo, hookimpl
from rmtl_bench_weightings.gradient_catalogue import THROUGH_TORCHJD
from rmtl_bench_weightings.loss_catalogue import CONSTANT_AND_RANDOM, LEARNED_AND_DYNAMIC
from rmtl_bench_weightings.own_gradient_catalogue import OWN


@hookimpl
def rmtl_weightings() -> list[WeightingInfo]:
    """Return the weightings of this distribution."""
    return [*CONSTANT_AND_RANDOM, *LEARNED_AND_DYNAMIC, *THROUGH_TORCHJD, *OWN]


@hookimpl
def rmtl_suites() -> Iterable[Path]:
    """Return the suites that put weightings to the test."""
    return sorted((Path(__file__).parent / "suites").glob("*.toml"))
