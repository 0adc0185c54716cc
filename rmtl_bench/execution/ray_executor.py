"""The executor of a Ray cluster: a Ray task for every request, on nodes that were asked before anything is run.

No disk is shared: tables, one-file plugins, what runs build on and checkpoints are sent to the node that wants them,
and the files of runs come back through the cluster's memory. A run that is lost with its node is told as interrupted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import exceptions

from rmtl_bench.contracts.device import check_device
from rmtl_bench.contracts.errors import DataError, PluginError, RmtlBenchError, UsageError
from rmtl_bench.contracts.executor import Ended, Ending, Executor, Job, Room, Tell
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.execution import ray_node, ray_survey, ray_tables
from rmtl_bench.execution.environment import describe_machine
from rmtl_bench.execution.ray_cluster import Node, Share, join, nodes, on
from rmtl_bench.store.disk import is_full

_STOP_SECONDS = 2.0
"""How long a task may take to stop when it is asked to, before its process is killed."""
_LOOK_SECONDS = 2.0
"""How often to look whether a node is left."""
_NODE_LOST = (exceptions.NodeDiedError, exceptions.LocalRayletDiedError, exceptions.TaskUnschedulableError)
_NOT_BEGUN = Ending("interrupted", "its node was lost before it began")


@dataclass
class _Running:
    """A request on its way: its task, where it is made, and the file that is being received."""

    request: RunRequest
    items: Any
    node: Node
    unfinished: Path | None = None


class RayExecutor(Executor):
    """Makes runs on the nodes of a Ray cluster.

    ``address``: auto (a cluster that this machine is part of, or ``$RAY_ADDRESS``), HOST:PORT, or local for a cluster
    of this machine alone that ends with the command. ``gpus`` that a process takes on cuda; several share one where it
    is a part of 1. ``memory`` in GB that a process asks Ray for, which starts no more of them than fit; 0: nothing.

    On cuda, a Ray worker ends with its task, so that nothing of the GPU stays taken. Nodes that join later are not
    asked and make no runs.
    """

    def __init__(self, address: str = "auto", gpus: float = 1.0, memory: float = 0.0) -> None:
        if gpus > 1 and gpus != int(gpus):
            raise UsageError(f"executor 'ray': gpus {gpus:g} cannot be had; it takes a part of 1, or a whole number")
        self.address = address
        self.gpus = gpus
        self.memory = int(memory * 10**9)
        self._leave: Callable[[], None] | None = None
        self._nodes: list[Node] = []
        self._running: list[_Running] = []
        self._waiting: list[RunRequest] = []
        self._next_look = 0.0

    def open(self, job: Job, tell: Tell) -> Room:
        """Join the cluster, ask all its nodes that have room for a run, and bring them the data that they lack."""
        if check_device(job.device).startswith("cuda:"):
            raise UsageError(f"device {job.device!r}: Ray gives the GPUs out; use --device cuda")
        self._tell = tell
        self._leave = join(self.address)
        self._home = ray.get_runtime_context().get_node_id()
        every = nodes()
        has_gpus = any(node.gpus for node in every)
        device = "cuda" if job.device == "cuda" or (job.device == "auto" and has_gpus) else "cpu"
        threads = job.threads or _threads(every, job)
        self._share = Share(threads, self.gpus if device == "cuda" else 0.0, self.memory)
        self._nodes = [node for node in every if self._share.fitting(node)]
        if not self._nodes:
            raise UsageError(f"no node of the Ray cluster has room for a run: {self._wanted()}; see 'ray status'")
        self._survey(job, device)
        options: dict[str, Any] = {"max_calls": 1, "num_gpus": self._share.gpus} if self._share.gpus else {}
        if self._share.memory:
            options["memory"] = self._share.memory
        task = ray.remote(num_returns="streaming", max_retries=0, num_cpus=self._share.cpus, **options)
        self._make = task(ray_node.make)
        free = sum(self._share.fitting(node) for node in self._nodes)
        return Room(device, min(job.jobs or free, free, job.runs), threads, describe_machine())

    def start(self, request: RunRequest) -> None:
        """Hand a request to the node with most room; where nodes were lost, it may have to wait for one."""
        self._waiting.append(request)
        self._submit()

    def wait(self, seconds: float) -> Sequence[Ended]:
        """Wait for items of tasks: pass events on, write files, return what has ended."""
        stranded = self._without_nodes()
        if not self._running:
            time.sleep(0 if stranded else seconds)
            return stranded
        ended: list[Ended] = []
        deadline = time.monotonic() + seconds
        by_items = {running.items: running for running in self._running}
        ready, _ = ray.wait(list(by_items), num_returns=1, timeout=seconds)
        while ready:
            for items in ready:
                if (ending := self._take(by_items[items])) is not None:
                    running = by_items.pop(items)
                    self._running.remove(running)
                    if ending is _NOT_BEGUN:
                        self._waiting.insert(0, running.request)
                    else:
                        ended.append(Ended(running.request, ending))
            if not by_items or time.monotonic() > deadline:
                break
            ready, _ = ray.wait(list(by_items), num_returns=len(by_items), timeout=0)
        self._submit()
        return [*stranded, *ended]

    def close(self) -> None:
        """Stop the tasks, and leave the cluster."""
        if self._leave is None:
            return
        leave, self._leave = self._leave, None
        try:
            self._stop(self._running)
        finally:
            self._running, self._waiting = [], []
            leave()

    def _wanted(self) -> str:
        parts = [f"{self._share.cpus} CPUs"]
        parts += [f"{self._share.gpus:g} GPUs"] if self._share.gpus else []
        parts += [f"{self._share.memory / 10**9:g} GB"] if self._share.memory else []
        return ", ".join(parts)

    def _survey(self, job: Job, device: str) -> None:
        """Ask the nodes; raise an error with everything in which they differ, or bring them the data they lack."""
        self._question = ray_survey.question(job)
        mine = ray_survey.versions(self._question["plugins"])
        answers = dict(_ask(self._nodes, ray_survey.answer, self._question))
        self._nodes = list(answers)
        other = {node: ray_survey.differences(job, mine, its, device) for node, its in answers.items()}
        lacking = {
            node: [f"{_named(job, digest)}: {data['why']}" for digest, data in its["data"].items() if "why" in data]
            for node, its in answers.items()
        }
        lines = [f"node {node.name}: {line}" for node in answers for line in (*other[node], *lacking[node])]
        if lines:
            kind = PluginError if any(other.values()) else DataError
            raise kind("\n".join(lines))
        self._bring(job, answers)

    def _bring(self, job: Job, answers: Mapping[Node, Mapping[str, Any]]) -> None:
        for data, (_, component) in zip(job.data, self._question["tables"], strict=True):
            states = {node: its["data"][data.fingerprint]["state"] for node, its in answers.items()}
            receivers = [node for node, state in states.items() if state == "send"]
            if receivers:
                pieces = list(ray_tables.pieces_of(data.folder))
                list(_ask(receivers, ray_tables.receive, data.dataset.name, data.fingerprint, pieces))
            preparers = [node for node, state in states.items() if state == "prepare"]
            list(_ask(preparers, ray_survey.prepare, data.fingerprint, component, self._question))

    def _take(self, running: _Running) -> Ending | None:
        """Take one item of a task; return how it has ended, if that is what it says."""
        try:
            kind, *rest = ray.get(next(running.items))
            if kind == ray_node.EVENT:
                self._tell(running.request, rest[0])
            elif kind == ray_node.PIECE:
                _write(running, *rest)
            else:
                return Ending(*rest)
        except StopIteration:
            return _cut_short(running, Ending("interrupted", "its Ray task ended without a word"))
        except exceptions.RayError as error:
            return _cut_short(running, self._ended_by(running, error))
        except OSError as error:
            self._stop([running])
            full = is_full(error)
            status = "interrupted" if full else "failed"
            return _cut_short(running, Ending(status, f"its files cannot be written: {error}", disk_full=full))
        return None

    def _submit(self) -> None:
        """Start what waits, as far as there is room."""
        # Ray is told the node: a task that it may place itself can wait for one that was just lost.
        while self._waiting and (node := self._roomiest()) is not None:
            request = self._waiting.pop(0)
            paths = [path for run in request.runs for path in (run.source, run.checkpoint) if path and path.is_file()]
            given = {str(path): place for place, path in enumerate(dict.fromkeys(paths))}
            order = ray_node.Order(request.to_line(), self._question["switches"], self._question["files"], given)
            contents = [ray.put(np.fromfile(path, np.uint8)) for path in given]
            self._running.append(_Running(request, self._make.options(**on(node)).remote(order, *contents), node))

    def _roomiest(self) -> Node | None:
        taken = Counter(running.node for running in self._running)
        free = {node: self._share.fitting(node) - taken[node] for node in self._nodes}
        return max((node for node in free if free[node] > 0), key=free.__getitem__, default=None)

    def _without_nodes(self) -> list[Ended]:
        """Look for lost nodes; return the requests that wait when all are."""
        if time.monotonic() > self._next_look:
            self._next_look = time.monotonic() + _LOOK_SECONDS
            alive = {node.id for node in nodes()}
            if self._home not in alive:
                raise RmtlBenchError("the Ray node of this machine is lost; what is finished is in the store")
            self._nodes = [node for node in self._nodes if node.id in alive]
        if self._nodes or not self._waiting:
            return []
        stranded, self._waiting = self._waiting, []
        ending = Ending("interrupted", "not made: every node of the Ray cluster that had room for it is lost")
        return [Ended(request, ending) for request in stranded]

    def _ended_by(self, running: _Running, error: exceptions.RayError) -> Ending:
        where = f"node {running.node.name}"
        if isinstance(error, exceptions.OutOfMemoryError):
            return Ending("oom", f"Ray ended the run on {where}, which was short of memory")
        if isinstance(error, exceptions.RayTaskError):
            return Ending("failed", f"{where} could not make the run\n{error}")
        if isinstance(error, _NODE_LOST):
            self._nodes = [node for node in self._nodes if node != running.node]
        if isinstance(error, exceptions.TaskUnschedulableError):
            return _NOT_BEGUN
        return Ending("interrupted", f"lost on {where}: {type(error).__name__}: {_first_sentence(error)}")

    def _stop(self, stopped: Sequence[_Running]) -> None:
        """Ask tasks to stop, and kill those that do not."""
        # Where the cluster is gone, Ray says so by whatever exception comes first, and nothing is left to stop.
        with suppress(Exception):
            for running in stopped:
                ray.cancel(running.items)
            ends = [running.items.completed() for running in stopped]
            left = ray.wait(ends, num_returns=len(ends), timeout=_STOP_SECONDS)[1] if ends else []
            for running, end in zip(stopped, ends, strict=True):
                if end in left:
                    ray.cancel(running.items, force=True)


def _threads(every: Sequence[Node], job: Job) -> int:
    """Return the threads of a process where they are to use all the CPUs."""
    cpus = sum(int(node.cpus) for node in every)
    largest = max(int(node.cpus) for node in every)
    return max(1, min(largest, cpus // min(job.jobs or cpus, job.runs)))


def _named(job: Job, fingerprint: str) -> str:
    return next(f"{data.dataset.label} ({fingerprint})" for data in job.data if data.fingerprint == fingerprint)


def _ask(places: Sequence[Node], function: Callable[..., Any], *arguments: Any) -> Iterator[tuple[Node, Any]]:
    """Call a function on every node at once; yield what each returns. A node that is lost meanwhile is left out.

    Raises the error of a user that a node raises, with the node's name, and :class:`PluginError` for any other.
    """
    task = ray.remote(num_cpus=0, max_retries=0)(function)
    asked = [(node, task.options(**on(node)).remote(*arguments)) for node in places]
    for node, reference in asked:
        try:
            yield node, ray.get(reference)
        except exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, RmtlBenchError):
                raise type(cause)(f"node {node.name}: {cause}") from error
            raise PluginError(f"node {node.name}: rmtl-bench does not work there: {_last_line(error)}") from error
        except exceptions.RayError:
            continue


def _write(running: _Running, place: int, name: str, start: int, data: Any, is_last: bool) -> None:
    """Write a piece of a file into the folder of its run; a checkpoint appears when it is whole."""
    run = running.request.runs[place]
    if name == ray_node.CHECKPOINT:
        if run.checkpoint is None:
            return
        path = run.checkpoint.with_name(f"{run.checkpoint.name}.{run.staging.name}")
    else:
        if not name or Path(name).name != name or name == "..":
            raise OSError(f"{name!r} is no name of a file")
        path = run.staging / name
    running.unfinished = path
    with path.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.write(data)
    if is_last:
        running.unfinished = None
        if name == ray_node.CHECKPOINT and run.checkpoint is not None:
            path.replace(run.checkpoint)


def _cut_short(running: _Running, ending: Ending) -> Ending:
    """Remove the file that did not arrive as a whole."""
    if running.unfinished is not None:
        running.unfinished.unlink(missing_ok=True)
    return ending


def _first_sentence(error: Exception) -> str:
    return " ".join(str(error).split()).partition(". ")[0]


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
