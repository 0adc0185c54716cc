"""The catalogue of this distribution; imports no torch."""

from __future__ import annotations

from rmtl_bench import Parameter, WeightingInfo, hookimpl


@hookimpl
def rmtl_weightings() -> list[WeightingInfo]:
    """Return the four weightings of this distribution."""
    return [
        WeightingInfo(
            name="fixed",
            target="rmtl_bench_weightings.fixed:Fixed",
            summary="constant weights, 1 for every task unless given",
            parameters={
                "weights": Parameter(
                    (), "one weight per task, in the order of the tasks; empty: 1 for each", kind="floats", minimum=0.0
                )
            },
        ),
        WeightingInfo(
            name="uncertainty",
            target="rmtl_bench_weightings.uncertainty:Uncertainty",
            summary="each task's noise is learned, and its loss divided by it",
            paper="Kendall et al., Multi-Task Learning Using Uncertainty to Weigh Losses, CVPR 2018, arXiv 1705.07115",
            parameters={
                "initial_log_variance": Parameter(
                    0.0, "logarithm of each task's variance at the start", minimum=-10.0, maximum=10.0
                )
            },
        ),
        WeightingInfo(
            name="random",
            target="rmtl_bench_weightings.random:Random",
            summary="new random weights at every step: a baseline that many methods fail to beat",
            paper="Lin et al., Reasonable Effectiveness of Random Weighting, TMLR 2022, arXiv 2111.10603",
        ),
        WeightingInfo(
            name="dwa",
            target="rmtl_bench_weightings.dwa:DynamicWeightAverage",
            summary="tasks whose loss falls slowly get more weight, epoch by epoch",
            paper="Liu et al., End-to-End Multi-Task Learning with Attention, CVPR 2019, arXiv 1803.10704",
            parameters={
                "temperature": Parameter(2.0, "how even the weights are; high: nearly equal weights", minimum=0.01)
            },
        ),
    ]
