"""rmtl-bench: does a dynamic loss weighting really beat fixed and uncertainty weighting?

Importing this package is cheap: it draws in neither torch, numpy nor any plugin. A plugin's catalogue
module needs nothing else::

    from rmtl_bench import BackboneInfo, Parameter, hookimpl

The classes a plugin implements (``Backbone``, ``LossWeighting``, ``Dataset``, ...) are in
:mod:`rmtl_bench.contracts`.
"""

from __future__ import annotations

from rmtl_bench.contracts.catalogue import (
    BackboneInfo,
    DatasetInfo,
    MetricInfo,
    Parameter,
    WeightingInfo,
    hookimpl,
    scope_parameter,
)
from rmtl_bench.contracts.source import Download, Source

__version__ = "0.1.0"

__all__ = [
    "BackboneInfo",
    "DatasetInfo",
    "Download",
    "MetricInfo",
    "Parameter",
    "Source",
    "WeightingInfo",
    "__version__",
    "hookimpl",
    "scope_parameter",
]
