"""The Ray cluster that runs are made on: joining it, leaving it, and what its nodes have room for."""

from __future__ import annotations

import logging
import math
import os
import re
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rmtl_bench.contracts.device import cores
from rmtl_bench.contracts.errors import UsageError

_ANSWER_SECONDS = 5.0
"""How long a cluster may take to answer at its address."""
_START = "start one with 'ray start --head', or use --address local"


@dataclass(frozen=True)
class Node:
    """A node of the cluster that lives, and what Ray gives out there; ``memory`` in bytes."""

    id: str
    host: str
    cpus: float
    gpus: float
    memory: float

    @property
    def name(self) -> str:
        """Host and the start of its number: several nodes may be on one machine."""
        return f"{self.host} ({self.id[:6]})"


@dataclass(frozen=True)
class Share:
    """What one process asks the cluster for; ``memory`` in bytes, 0: nothing."""

    cpus: int
    gpus: float = 0.0
    memory: int = 0

    def fitting(self, node: Node) -> int:
        """Return how many such shares a node has when nothing else runs there."""
        fits = [node.cpus // self.cpus]
        if self.gpus:
            # Ray cuts no share out of two GPUs.
            fits.append(math.floor(node.gpus) * (1 // self.gpus) if self.gpus < 1 else node.gpus // self.gpus)
        if self.memory:
            fits.append(node.memory // self.memory)
        return int(min(fits))


def join(address: str) -> Callable[[], None]:
    """Join the cluster at an address: auto, HOST:PORT, or local for one of this machine alone; return what leaves it.

    A process that has joined one already stays in it. Raises :class:`UsageError` where there is none, or one of another
    version of Ray or Python. Nothing is sent to anybody but the cluster.
    """
    if ray.is_initialized():
        return _stay
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = _resolved(address)
    options: dict[str, Any] = {"num_cpus": cores(), "include_dashboard": False} if address == "local" else {}
    logging.getLogger("ray").setLevel(logging.ERROR)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False, logging_level="ERROR", **options)
    except ConnectionError as error:
        lack = f"no Ray cluster found; {_START}"
        if address != "auto":
            lack = f"what answers at {address!r} does not let this command in; is $RAY_AUTH_TOKEN the cluster's?"
        raise UsageError(lack) from error
    except (RuntimeError, ValueError, RayError) as error:
        raise UsageError(f"the Ray cluster at {address!r} cannot be joined: {' '.join(str(error).split())}") from error
    finally:
        # Ray's own would leave the store as it is.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
    unhush = _hush()

    def leave() -> None:
        ray.shutdown()
        unhush()

    return leave


def nodes() -> list[Node]:
    """Return the nodes that live."""
    return [
        Node(
            facts["NodeID"],
            facts["NodeManagerHostname"],
            facts["Resources"].get("CPU", 0.0),
            facts["Resources"].get("GPU", 0.0),
            facts["Resources"].get("memory", 0.0),
        )
        for facts in ray.nodes()
        if facts["Alive"]
    ]


def on(node: Node) -> dict[str, Any]:
    """Return the options of a Ray task that runs on this node or nowhere."""
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node.id, soft=False)}


def _resolved(address: str) -> str:
    """Return the address to give to Ray, having asked there whether anybody is at home: Ray itself waits long."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or "auto"
    if address in ("auto", "local"):
        return address
    if address.startswith("ray://"):
        raise UsageError(f"address {address!r} is a Ray client's; run the command on a node, with --address auto")
    match = re.fullmatch(r"\[?([^\s\]]+?)\]?:(\d{1,5})", address)
    if match is None or not 0 < int(match[2]) < 65536:
        raise UsageError(f"address {address!r} is none of a Ray cluster; it takes auto, local or HOST:PORT")
    try:
        socket.create_connection((match[1], int(match[2])), _ANSWER_SECONDS).close()
    except OSError as error:
        raise UsageError(f"no Ray cluster found at {address!r} ({error}); {_START}") from error
    return address


def _hush() -> Callable[[], None]:
    """Keep Ray from printing pages about nodes that are lost, which the harness tells in a line; return what undoes it.

    Ray has no switch for that. Where a version of it does so by another function, the pages are printed.
    """
    worker = import_module("ray._private.worker")
    printing = getattr(worker, "print_to_stdstream", None)

    def print_nothing(*_: object, **__: object) -> None:
        """Print nothing."""

    def undo() -> None:
        worker.print_to_stdstream = printing  # type: ignore[attr-defined]

    if printing is None:
        return _stay
    worker.print_to_stdstream = print_nothing  # type: ignore[attr-defined]
    return undo


def _stay() -> None:
    """Do nothing."""
