"""A figure of the report, with what a page says about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from matplotlib.figure import Figure

SECTIONS = ("cells", "curves", "weights", "critics", "cost", "calibration", "gap", "critical-difference")
"""The parts of the report that figures belong to, in the order they come in."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure and its words.

    ``slug`` is safe as a file's name and unique in its report, ``section`` one of :data:`SECTIONS`, ``alt`` a sentence
    with the essential numbers for who cannot see it. ``figure`` belongs to no window and no global state.
    """

    slug: str
    section: str
    title: str
    caption: str
    alt: str
    figure: Figure


def slug(*parts: str) -> str:
    """Return the parts as one name of lower-case ASCII letters, digits and hyphens."""
    cleaned = (re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts)
    return "-".join(part or "x" for part in cleaned)
