from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import torch

from benchmarks import trainings
from benchmarks.clock import threads
from benchmarks.trainings import Data, make_trainer
from rmtl_bench.contracts import Stage
from rmtl_bench.contracts.cell import Component
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.plugins import Registry, load_plugins


def pytest_addoption(parser: pytest.Parser) -> None:
    cores = len(os.sched_getaffinity(0))
    about = "threads of the benchmarks that use all cores; one thread is what a busy machine times best"
    parser.addoption("--threads", type=int, default=cores, help=f"{about} (default here: {cores})")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="this machine has no CUDA device"))


@pytest.fixture(scope="session")
def registry() -> Registry:
    torch.set_num_threads(1)
    return load_plugins().registry


@pytest.fixture
def all_cores(request: pytest.FixtureRequest) -> Iterator[None]:
    """As many threads as there are cores, or as ``--threads`` says, whatever the environment asks for."""
    with threads(request.config.getoption("--threads")):
        yield


@pytest.fixture(scope="session")
def component(registry: Registry) -> Callable[..., Component]:
    """A plugin's offer with the given parameters."""

    def make(kind: str, name: str, **parameters: object) -> Component:
        return trainings.component(registry, kind, name, **parameters)

    return make


@pytest.fixture(scope="session")
def last_stage(registry: Registry) -> Callable[..., tuple[Stage, DeviceRows]]:
    """The last stage of a weighting on a backbone, ready to step, on 10,000 simulated rows."""

    def make(backbone: str, weighting: str, device: str) -> tuple[Stage, DeviceRows]:
        data = Data.simulated(registry, 10_000, device)
        trainer = make_trainer(registry, data, backbone, weighting)
        return list(trainer.weighting.stages(trainer))[-1], data.train

    return make
