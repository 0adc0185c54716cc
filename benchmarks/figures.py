"""How a benchmark says what it has found: one line on the terminal, and the figures that the report shows.

Figures go into pytest-benchmark's ``extra_info``. Of these, the report shows every one whose name begins with
``ratio`` or ``share``: only ratios within one run outlast the machine. Rates, in samples or operations a second, are
shown for GPUs alone, whose speed their name tells.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

RELATIVE = ("ratio", "share")
RATE = " a second"
LEAST, MOST = "at least", "at most"


def report(
    benchmark: Any,
    name: str,
    figures: Mapping[str, float],
    *,
    at_least: Mapping[str, float] | None = None,
    at_most: Mapping[str, float] | None = None,
) -> None:
    """Keep and print figures by name, and assert the bounds that were promised for some of them."""
    bounds = [(LEAST, at_least or {}), (MOST, at_most or {})]
    benchmark.extra_info |= {key: float(f"{value:.4g}") for key, value in figures.items()}
    benchmark.extra_info |= {f"{word} {key}": value for word, promised in bounds for key, value in promised.items()}
    print(f"\n{name}: " + ", ".join(f"{key} {shown(key, value)}" for key, value in figures.items()))
    for word, promised in bounds:
        for key, bound in promised.items():
            kept = figures[key] >= bound if word == LEAST else figures[key] <= bound
            assert kept, f"{name}: {key} is {figures[key]:.3g}, promised {word} {bound:g}"


def shown(key: str, value: float) -> str:
    """Return a figure as text: ratios and shares with two decimals, all else in whole numbers."""
    return f"{value:.2f}" if key.startswith(RELATIVE) else f"{value:,.0f}"


def threads_note(count: int | None = None) -> str:
    """Return the number of threads as a benchmark's group names it."""
    threads = count or len(os.sched_getaffinity(0))
    return f"{threads} thread" + ("s" if threads > 1 else "")
