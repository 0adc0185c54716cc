"""What a report holds before it takes a format: titled tables of text for readers, frames of numbers for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

DASH = "-"
"""Stands where there is no value."""


@dataclass(frozen=True)
class Column:
    """A column's heading; ``numeric`` aligns it to the right, ``width`` wraps it in a terminal."""

    title: str
    numeric: bool = False
    width: int | None = None


@dataclass(frozen=True)
class Section:
    """One table of text; ``emphasised``: the cells, as (row, column), that formats with bold type set in bold."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    emphasised: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class Document:
    """A report: ``sections`` and ``footnotes`` for the text formats, ``tables`` for csv and json.

    ``notes`` are printed on top. ``settings`` is JSON-ready and goes into json alone.
    """

    title: str
    notes: tuple[str, ...]
    sections: tuple[Section, ...]
    footnotes: tuple[str, ...]
    tables: Mapping[str, pd.DataFrame]
    settings: Mapping[str, Any] = field(default_factory=dict)


def number(value: float, signed: bool = False) -> str:
    """Return a metric's value with five decimals (0.001 of AUC matters), or five digits where it is large."""
    if not math.isfinite(value):
        return DASH
    plus = "+" if signed else ""
    text = f"{value:{plus}.5f}" if abs(value) < 100 else f"{value:{plus}.5g}"
    # A rounded negative zero would claim a direction.
    return f"{0.0:{plus}.5f}" if float(text) == 0.0 else text


def compact(value: float, decimals: int = 4) -> str:
    """Return a value of unknown scale in few characters, with ``decimals`` or three digits and an exponent."""
    if not math.isfinite(value):
        return DASH
    if value == 0 or 10.0 ** (1 - decimals) <= abs(value) < 1000:
        return f"{value:.{decimals}f}"
    return f"{value:.2e}"


def spread(mean: float, low: float, high: float, signed: bool = False) -> str:
    """Return ``mean ± half-width`` of a symmetric interval; no half-width where there is none."""
    half = (high - low) / 2
    return f"{number(mean, signed)} ± {number(half)}" if math.isfinite(half) else number(mean, signed)


def p_value(p: float) -> str:
    """Return p with four decimals."""
    if not math.isfinite(p):
        return DASH
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def verdict_text(row: Mapping[str, Any]) -> str:
    """Return the verdict, the detectable effect of an unresolved one, and a dagger where the exact test disagrees."""
    text = row["verdict"]
    if not isinstance(text, str):
        return DASH
    if text == "unresolved":
        text += f" (mde {number(row['mde'])})"
    return text + (" †" if row["robust"] == "disagrees" else "")


def against(method: str, reference: object) -> str:
    """Return the reference, shortened to its weighting where the backbone is the method's own."""
    if not isinstance(reference, str):
        return DASH
    backbone, _, weighting = reference.partition("/")
    return weighting if weighting and method.startswith(f"{backbone}/") else reference


def chosen(frame: pd.DataFrame, metrics: Sequence[str] | None) -> pd.DataFrame:
    """Return the rows of the metrics asked for, in that order; all rows where none are named."""
    if metrics is None:
        return frame
    wanted = frame[frame["metric"].isin(list(metrics))]
    order = wanted["metric"].map({metric: i for i, metric in enumerate(metrics)})
    return wanted.assign(_order=order).sort_values("_order", kind="stable").drop(columns="_order")
