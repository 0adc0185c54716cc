"""A plugin in one file whose offers need modules that nobody has, for tests of the core."""

from __future__ import annotations

from rmtl_bench import BackboneInfo, DatasetInfo, MetricInfo, Parameter, WeightingInfo, hookimpl

NEEDS = {"needs": ("no_such_solver",), "install": "pip install no-such-solver"}


@hookimpl
def rmtl_backbones() -> list[BackboneInfo]:
    needs = {"needs": ("json", "no_such_solver", "nor_such"), "install": "pip install no-such-solver nor-such"}
    return [BackboneInfo(name="solver-network", target="no_such_solver:Network", summary="solves itself", **needs)]


@hookimpl
def rmtl_weightings() -> list[WeightingInfo]:
    return [
        WeightingInfo(
            name="solver-weights",
            target="no_such_solver:Weights",
            summary="weights that solve | something",
            paper="Solver et al., Solving It, CONF 2024, arXiv 2401.00001",
            year=2024,
            differs="elsewhere it is not solved",
            form="gradient",
            cost="one backward pass a task",
            parameters={"rate": Parameter(0.5, "how much of it", minimum=0, maximum=1)},
            requires=frozenset({"shared-parameters"}),
            **NEEDS,
        ),
        WeightingInfo(name="solver-free", target="json:dumps", summary="needs what there is", **INSTALLED),
    ]


INSTALLED = {"needs": ("json",), "install": "pip install json"}


@hookimpl
def rmtl_datasets() -> list[DatasetInfo]:
    return [DatasetInfo(name="solver-sessions", target="no_such_solver:Sessions", summary="solved", **NEEDS)]


@hookimpl
def rmtl_metrics() -> list[MetricInfo]:
    target = "no_such_solver:metric"
    return [MetricInfo(name="solver-metric", target=target, summary="solved", higher_is_better=True, **NEEDS)]
