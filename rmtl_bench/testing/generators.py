"""The global generators of random numbers, which a plugin neither draws from nor moves unless its contract says so."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def seeded_generators(seed: int) -> Iterator[Callable[[], list[str]]]:
    """Seed the global generators of Python, NumPy and, where it is imported, torch; afterwards they are as before.

    Yields a function that returns the names of those that have moved since.
    """
    torch = sys.modules.get("torch")
    states: dict[str, Callable[[], Any]] = {"Python": random.getstate, "NumPy": np.random.get_state}
    if torch is not None:
        states["torch"] = torch.get_rng_state
    before = {name: state() for name, state in states.items()}
    random.seed(seed)
    np.random.seed(seed)
    if torch is not None:
        torch.random.default_generator.manual_seed(seed)
    start = {name: _comparable(state()) for name, state in states.items()}
    try:
        yield lambda: [name for name, state in states.items() if _comparable(state()) != start[name]]
    finally:
        random.setstate(before["Python"])
        np.random.set_state(before["NumPy"])
        if torch is not None:
            torch.set_rng_state(before["torch"])


def _comparable(state: Any) -> object:
    if isinstance(state, tuple):
        return tuple(_comparable(part) for part in state)
    return state.tolist() if hasattr(state, "tolist") else state
