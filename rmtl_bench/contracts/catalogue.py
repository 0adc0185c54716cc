"""Descriptions: what a plugin says of its backbones, weightings, data sets and metrics.

A description is data. It names its class lazily (``"package.module:Class"``), so that listing every
plugin costs milliseconds and imports neither torch nor a model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
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

_NAME = re.compile(r"[^\s/]{1,100}")

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

    ``requires``, by value: the capability that choosing it requires, beside those of the description.

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
    requires: Mapping[Any, str] = field(default_factory=dict)

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

    @property
    def right(self) -> str:
        """What values can be, in words: ``a number from 0 to 1``, ``a list of whole numbers, each at least 1``."""
        return self._right(_KINDS[self.kind])

    def _right(self, kind: str) -> str:
        if self.choices:
            choices = ", ".join(repr(choice) for choice in self.choices)
            return f"{kind}, each one of {choices}" if self._is_list else f"one of {choices}"
        if not (bounds := self._bounds()):
            return kind
        if self._is_list:
            return f"{kind}, each {bounds}"
        return f"{kind} {bounds}" if bounds.startswith("from") else f"{kind} of {bounds}"

    def _bounds(self) -> str:
        low, high = (f"{bound:.15g}" for bound in (self.minimum, self.maximum))
        if math.isfinite(self.minimum) and math.isfinite(self.maximum):
            return f"from {low} to {high}"
        if math.isfinite(self.minimum):
            return f"at least {low}"
        return f"at most {high}" if math.isfinite(self.maximum) else ""

    @property
    def _is_list(self) -> bool:
        return self.kind.endswith("s")

    def check(self, value: Any, owner: str, name: str) -> Any:
        """Return ``value`` in its canonical type, or raise :class:`UsageError` naming what is right."""
        if self._is_list:
            listed = isinstance(value, (list, tuple))
            checked = tuple(self._canonical(element) for element in value) if listed else None
            elements = checked or ()
        else:
            checked = self._canonical(value)
            elements = (checked,)
        if checked is None or any(element is None or not self._is_allowed(element) for element in elements):
            raise UsageError(f"{owner}: parameter {name!r} is {value!r}; it takes {self._right_of(elements)}")
        return checked

    def _canonical(self, value: Any) -> Any:
        """Return one value in its canonical type; ``None`` if it is of another."""
        kind = self.kind.removesuffix("s")
        accepted: tuple[type, ...] = {"bool": (bool,), "int": (int,), "float": (int, float), "str": (str,)}[kind]
        fits = isinstance(value, accepted) and (kind == "bool" or not isinstance(value, bool))
        if not fits:
            return None
        try:
            return float(value) if kind == "float" else value
        except OverflowError:
            return math.inf

    def _is_allowed(self, value: Any) -> bool:
        if self.choices and value not in self.choices:
            return False
        # A NaN compares with nothing.
        return isinstance(value, str) or (self.minimum <= value <= self.maximum and abs(value) != math.inf)

    def _right_of(self, elements: Sequence[Any]) -> str:
        """Return :attr:`right`; where a value is no finite number, it says that it has to be one."""
        unbounded = any(isinstance(element, float) and not math.isfinite(element) for element in elements)
        kind = _KINDS[self.kind]
        return self._right(kind.replace("number", "finite number") if unbounded else kind)


def scope_parameter(*, representation: bool = True) -> Parameter:
    """Return the parameter ``scope`` of a gradient weighting; without ``representation`` for one that keeps state of
    the size of what it looks at, or makes steps of it.
    """
    choices = SCOPES if representation else tuple(scope for scope in SCOPES if scope != "representation")
    meaning = "whose gradients: the shared dense parameters, the shared representation, or all parameters"
    if not representation:
        meaning = "whose gradients: the shared dense parameters, or all parameters"
    requires = {"shared": "shared-parameters", "representation": "shared-representation"}
    return Parameter("shared", meaning, choices=choices, requires=requires)


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
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name) or not self.name.isprintable():
            raise ValueError(f"{str(self.name)[:100]!r} is no name: it takes 1 to 100 characters, no space and no '/'")
        if ":" not in self.target:
            raise ValueError(f"{self.name}: target {self.target!r} is not of the form 'package.module:Class'")
        if bool(self.needs) != bool(self.install):
            raise ValueError(f"{self.name}: needs {self.needs} and the command to install them go together")
        if dotted := [module for module in self.needs if not module.isidentifier()]:
            raise ValueError(f"{self.name}: needs {dotted[0]!r}, which is no top-level module")
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
    def obstacle(self) -> str:
        """What keeps this from being used here, and the command that mends it, in one line; empty: nothing does."""
        lacking = self.lacking
        if not lacking:
            return ""
        which = f"{' and '.join(lacking)}, which {'is' if len(lacking) == 1 else 'are'} not installed"
        return f"{self.kind} {self.name!r} needs {which}; type: {self.install}"

    def required(self, given: Mapping[str, Any]) -> frozenset[str]:
        """Return the capabilities that this requires with the parameters that :meth:`resolve` returned."""
        chosen = {p.requires.get(given.get(name, p.default), "") for name, p in self.parameters.items() if p.requires}
        return self.requires | (chosen - {""})

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


@dataclass(frozen=True, kw_only=True)
class ExecutorInfo(Description):
    """Describes an :class:`~rmtl_bench.contracts.executor.Executor`; built as ``Class(**parameters)``.

    ``keeps_limits``: whether it can stop a run that takes too long or too much memory.
    """

    kind: ClassVar[str] = "executor"

    keeps_limits: bool = True


def resolve_parameters(owner: str, parameters: Mapping[str, Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of ``owner``, defaults filled in and the given ones checked.

    An ``added`` one is left out where it has its default. Raises :class:`UsageError` for a name or a value that cannot
    be.
    """
    for name in given:
        if name not in parameters:
            hint = did_you_mean(name, parameters)
            raise UsageError(f"{owner} has no parameter {name!r}, given as {given[name]!r}{hint}")
    values = {
        name: parameter.check(given[name], owner, name) if name in given else parameter.default
        for name, parameter in parameters.items()
    }
    return {
        name: value for name, value in values.items() if not parameters[name].added or value != parameters[name].default
    }
