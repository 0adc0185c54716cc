"""The executors that come with the harness, as any plugin would offer them."""

from __future__ import annotations

from rmtl_bench.contracts.catalogue import ExecutorInfo, Parameter, hookimpl

DEFAULT = "process"
"""The executor that a command takes unless another one is named."""


@hookimpl
def rmtl_executors() -> list[ExecutorInfo]:
    """Return the harness's own executors."""
    return [
        ExecutorInfo(
            name=DEFAULT,
            target="rmtl_bench.execution.process_executor:ProcessExecutor",
            summary="a process for every run on this machine, several at once",
        ),
        ExecutorInfo(
            name="inline",
            target="rmtl_bench.execution.inline_executor:InlineExecutor",
            summary="one run after another in the command's own process, for a debugger",
            keeps_limits=False,
        ),
        ExecutorInfo(
            name="ray",
            target="rmtl_bench.execution.ray_executor:RayExecutor",
            summary="the machines of a Ray cluster",
            paper="Moritz et al., Ray: a distributed framework for emerging AI applications, OSDI",
            year=2018,
            needs=("ray",),
            install="pip install 'rmtl-bench[ray]'",
            parameters={
                "address": Parameter("auto", "the cluster: auto, HOST:PORT, or local for one of this machine alone"),
                "gpus": Parameter(
                    1.0, "GPUs a process takes on cuda; a part of one lets several share it", minimum=0.01
                ),
                "memory": Parameter(0.0, "GB of memory that a process asks the cluster for; 0: nothing", minimum=0.0),
            },
        ),
    ]
