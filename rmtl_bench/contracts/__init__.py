"""What a plugin author imports. Nothing here imports another room of the harness.

The names below are loaded on first use, so that a plugin's catalogue, and the command line that lists
it, never import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmtl_bench.contracts.backbone import Backbone
    from rmtl_bench.contracts.batch import Batch, SplitRows
    from rmtl_bench.contracts.catalogue import (
        BackboneInfo,
        DatasetInfo,
        Description,
        ExecutorInfo,
        MetricInfo,
        Parameter,
        WeightingInfo,
        hookimpl,
        scope_parameter,
    )
    from rmtl_bench.contracts.cell import Cell, Component, EpochRecord, Outcome
    from rmtl_bench.contracts.dataset import Dataset, SessionTable, scratch_array
    from rmtl_bench.contracts.dropout import relu_dropout, replica_generators
    from rmtl_bench.contracts.errors import (
        DataError,
        DivergedError,
        PluginError,
        RmtlBenchError,
        StoreError,
        UsageError,
    )
    from rmtl_bench.contracts.executor import Executor
    from rmtl_bench.contracts.layers import FieldEmbedding, ParallelMLP
    from rmtl_bench.contracts.metric import Predictions
    from rmtl_bench.contracts.schema import CategoricalField, Schema, Task
    from rmtl_bench.contracts.side_by_side import StageGroup
    from rmtl_bench.contracts.source import Download, Source
    from rmtl_bench.contracts.spans import span
    from rmtl_bench.contracts.stack import ModuleStack, NotStackableError, map_stacked
    from rmtl_bench.contracts.stage import Evaluation, Stage, StageContext, StepReport
    from rmtl_bench.contracts.weighting import (
        Diagnostic,
        GradientWeighting,
        LossWeighting,
        StagedWeighting,
        TaskLosses,
        Weighted,
        Weighting,
    )

_MODULE_OF = {
    "Backbone": "backbone",
    "BackboneInfo": "catalogue",
    "Batch": "batch",
    "CategoricalField": "schema",
    "Cell": "cell",
    "Component": "cell",
    "DataError": "errors",
    "Dataset": "dataset",
    "DatasetInfo": "catalogue",
    "Description": "catalogue",
    "Diagnostic": "weighting",
    "DivergedError": "errors",
    "Download": "source",
    "EpochRecord": "cell",
    "Evaluation": "stage",
    "Executor": "executor",
    "ExecutorInfo": "catalogue",
    "FieldEmbedding": "layers",
    "GradientWeighting": "weighting",
    "LossWeighting": "weighting",
    "MetricInfo": "catalogue",
    "ModuleStack": "stack",
    "NotStackableError": "stack",
    "Outcome": "cell",
    "ParallelMLP": "layers",
    "Parameter": "catalogue",
    "PluginError": "errors",
    "Predictions": "metric",
    "RmtlBenchError": "errors",
    "Schema": "schema",
    "SessionTable": "dataset",
    "Source": "source",
    "SplitRows": "batch",
    "Stage": "stage",
    "StageContext": "stage",
    "StageGroup": "side_by_side",
    "StagedWeighting": "weighting",
    "StepReport": "stage",
    "StoreError": "errors",
    "Task": "schema",
    "TaskLosses": "weighting",
    "UsageError": "errors",
    "Weighted": "weighting",
    "Weighting": "weighting",
    "WeightingInfo": "catalogue",
    "hookimpl": "catalogue",
    "map_stacked": "stack",
    "relu_dropout": "dropout",
    "replica_generators": "dropout",
    "scope_parameter": "catalogue",
    "scratch_array": "dataset",
    "span": "spans",
}

__all__ = [
    "Backbone",
    "BackboneInfo",
    "Batch",
    "CategoricalField",
    "Cell",
    "Component",
    "DataError",
    "Dataset",
    "DatasetInfo",
    "Description",
    "Diagnostic",
    "DivergedError",
    "Download",
    "EpochRecord",
    "Evaluation",
    "Executor",
    "ExecutorInfo",
    "FieldEmbedding",
    "GradientWeighting",
    "LossWeighting",
    "MetricInfo",
    "ModuleStack",
    "NotStackableError",
    "Outcome",
    "ParallelMLP",
    "Parameter",
    "PluginError",
    "Predictions",
    "RmtlBenchError",
    "Schema",
    "SessionTable",
    "Source",
    "SplitRows",
    "Stage",
    "StageContext",
    "StageGroup",
    "StagedWeighting",
    "StepReport",
    "StoreError",
    "Task",
    "TaskLosses",
    "UsageError",
    "Weighted",
    "Weighting",
    "WeightingInfo",
    "hookimpl",
    "map_stacked",
    "relu_dropout",
    "replica_generators",
    "scope_parameter",
    "scratch_array",
    "span",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted(_MODULE_OF)
