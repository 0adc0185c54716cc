"""Descriptions: what a plugin says of its backbones, weightings, data sets and metrics.

A description is data. It names its class lazily (``"package.module:Class"``), so that listing every
plugin costs milliseconds and imports neither torch nor a model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, ClassVar

import pluggy

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.contracts.source import Source

PROJECT = "rmtl_bench"
"""pluggy's project name, and the entry-point group in which plugins are looked for."""

hookimpl = pluggy.HookimplMarker(PROJECT)

FORMS = ("loss", "gradient", "staged")
"""The three kinds of weightings."""

SCOPES = ("shared", "representation", "all")
"""What a gradient weighting may look at; see :class:`~rmtl_bench.contracts.weighting.GradientWeighting`."""

_KINDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "ints": "a list of whole numbers",
    "floats": "a list of numbers",
    "strs": "a list of texts",
}


def _kind_of(default: Any) -> str:
    if isinstance(default, tuple):
        return _kind_of(default[0]) + "s" if default else "floats"
    return type(default).__name__


@dataclass(frozen=True)
class Parameter:
    """One parameter of a plugin: its default, its meaning, and what values can be.

    ``kind`` is inferred from the default (``bool``, ``int``, ``float``, ``str``, or a list of the last
    three: ``ints``, ``floats``, ``strs``); state it where the default is an empty tuple.
    ``minimum`` and ``maximum`` are inclusive and hold for every element of a list.

    ``backbone_of_source``, for weightings: the value names a backbone of the suite. The run of this same weighting,
    without this parameter, on that backbone comes first and hands on what it keeps; empty: none. The weighting is
    built with the name of that backbone's plugin.

    ``added``: the parameter is younger than published results. At its default it is no part of a run's identity, so
    that the results from before it existed stand; the class's own default must be the same.
    """

    default: Any
    help: str
    kind: str = ""
    choices: tuple[Any, ...] = ()
    minimum: float = -math.inf
    maximum: float = math.inf
    backbone_of_source: bool = False
    added: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.default, list):
            object.__setattr__(self, "default", tuple(self.default))
        if not self.kind:
            object.__setattr__(self, "kind", _kind_of(self.default))
        if self.kind not in _KINDS:
            raise ValueError(f"parameter kind {self.kind!r} is none of {', '.join(_KINDS)}")
        if self.backbone_of_source and (self.kind, self.default) != ("str", ""):
            raise ValueError(
                f"a parameter that names the backbone of a source has default {self.default!r}; it takes ''"
            )

    def check(self, value: Any, owner: str, name: str) -> Any:
        """Return ``value`` in its canonical type, or raise :class:`UsageError` naming what is right."""

        def refuse(right: str) -> UsageError:
            return UsageError(f"{owner}: parameter {name!r} is {value!r}; it takes {right}")

        if self.kind.endswith("s"):
            if not isinstance(value, (list, tuple)):
                raise refuse(_KINDS[self.kind])
            checked: Any = tuple(self._scalar(v, self.kind[:-1], lambda _: refuse(_KINDS[self.kind])) for v in value)
        else:
            checked = self._scalar(value, self.kind, refuse)
        for element in checked if isinstance(checked, tuple) else (checked,):
            if self.choices and element not in self.choices:
                raise refuse("one of " + ", ".join(repr(c) for c in self.choices))
            if isinstance(element, (int, float)) and not self.minimum <= element <= self.maximum:
                raise refuse(f"values from {self.minimum:g} to {self.maximum:g}")
        return checked

    @staticmethod
    def _scalar(value: Any, kind: str, refuse: Callable[[str], UsageError]) -> Any:
        accepted: tuple[type, ...] = {"bool": (bool,), "int": (int,), "float": (int, float), "str": (str,)}[kind]
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind != "bool"):
            raise refuse(_KINDS[kind])
        if kind == "float":
            number = float(value)  # type: ignore[arg-type]
            if not math.isfinite(number):
                raise refuse("a finite number")
            return number
        return value


def scope_parameter(*, representation: bool = True) -> Parameter:
    """Return the parameter ``scope`` of a gradient weighting; without ``representation`` for one that keeps state of
    the size of what it looks at, or makes steps of it.
    """
    choices = SCOPES if representation else tuple(scope for scope in SCOPES if scope != "representation")
    meaning = "whose gradients: the shared dense parameters, the shared representation, or all parameters"
    if not representation:
        meaning = "whose gradients: the shared dense parameters, or all parameters"
    return Parameter("shared", meaning, choices=choices)


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a plugin says of one thing it offers.

    ``paper`` and its ``year``; ``differs``, where this and other implementations part, one or two sentences.
    ``needs`` are modules that must be importable for this and are no dependency of its distribution, ``install`` the
    command that brings them: without them, a suite skips its cells and says so.
    ``requires`` and ``provides`` are capabilities, plain words such as ``sessions``, ``parent-task``,
    ``shared-parameters``: a cell whose three parts together do not provide what one of them requires is
    skipped by a suite, which says so. ``version`` is raised when the numbers change for the same
    parameters: it is a part of a run's identity.
    """

    kind: ClassVar[str] = ""

    name: str
    target: str
    summary: str
    version: int = 1
    paper: str = ""
    year: int = 0
    differs: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    install: str = ""
    requires: frozenset[str] = frozenset()
    provides: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if ":" not in self.target:
            raise ValueError(f"{self.name}: target {self.target!r} is not of the form 'package.module:Class'")
        if bool(self.needs) != bool(self.install):
            raise ValueError(f"{self.name}: needs {self.needs} and the command to install them go together")
        object.__setattr__(self, "needs", tuple(self.needs))
        object.__setattr__(self, "requires", frozenset(self.requires))
        object.__setattr__(self, "provides", frozenset(self.provides))
        naming = [name for name, parameter in self.parameters.items() if parameter.backbone_of_source]
        if naming and (self.kind != "weighting" or len(naming) > 1):
            allowed = "one" if self.kind == "weighting" else "none"
            raise ValueError(
                f"{self.kind} {self.name!r}: {', '.join(naming)} may name the backbone of a source; it takes {allowed}"
            )

    @property
    def lacking(self) -> tuple[str, ...]:
        """Those of the modules in ``needs`` that are not installed."""
        return tuple(module for module in self.needs if find_spec(module) is None)

    @property
    def source_parameter(self) -> str:
        """The parameter that names the backbone of a source (``Parameter.backbone_of_source``); empty: none does."""
        return next((name for name, parameter in self.parameters.items() if parameter.backbone_of_source), "")

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters, defaults filled in and given ones checked, but for ``added`` ones at their default.

        Raises :class:`UsageError` for a name or a value that cannot be.
        """
        return resolve_parameters(f"{self.kind} {self.name!r}", self.parameters, given)


class BackboneInfo(Description):
    """Describes a :class:`~rmtl_bench.contracts.backbone.Backbone`; built as ``Class(schema, **parameters)``."""

    kind = "backbone"


@dataclass(frozen=True, kw_only=True)
class WeightingInfo(Description):
    """Describes a :class:`~rmtl_bench.contracts.weighting.Weighting`; built as ``Class(tasks, **parameters)``.

    ``form``: ``loss``, ``gradient`` or ``staged``, as its base class; ``cost``, what a step takes, in a few words.
    """

    kind: ClassVar[str] = "weighting"

    form: str = ""
    cost: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form not in ("", *FORMS):
            raise ValueError(f"weighting {self.name!r}: form {self.form!r} is none of {', '.join(FORMS)}")


@dataclass(frozen=True, kw_only=True)
class DatasetInfo(Description):
    """Describes a :class:`~rmtl_bench.contracts.dataset.Dataset`; built as ``Class(**parameters)``.

    ``paper`` is what to cite, ``licence`` that of the data, ``size`` a few words (rows, bytes to download), ``source``
    where the raw files come from; ``None`` where the data set needs none.
    """

    kind: ClassVar[str] = "dataset"

    licence: str = ""
    size: str = ""
    source: Source | None = None


@dataclass(frozen=True, kw_only=True)
class MetricInfo(Description):
    """Describes a metric: ``function(predictions: Predictions) -> float``, NaN where undefined.

    ``gap_to_optimum``: on data whose true probabilities are known, a run also reports how far the metric
    is from what those probabilities reach (a regret, at least zero up to sampling noise, lower is better).
    """

    kind: ClassVar[str] = "metric"

    higher_is_better: bool
    gap_to_optimum: bool = False


def resolve_parameters(owner: str, parameters: Mapping[str, Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of ``owner``, defaults filled in and the given ones checked.

    An ``added`` one is left out where it has its default. Raises :class:`UsageError` for a name or a value that cannot
    be.
    """
    for name in given:
        if name not in parameters:
            raise UsageError(f"{owner} has no parameter {name!r}" + did_you_mean(name, parameters))
    values = {
        name: parameter.check(given[name], owner, name) if name in given else parameter.default
        for name, parameter in parameters.items()
    }
    return {
        name: value for name, value in values.items() if not parameters[name].added or value != parameters[name].default
    }
