"""Which methods a figure shows in colour: those that the suite names in its comparisons, whatever they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from rmtl_bench.report.figures.style import MUTED, Look, look
from rmtl_bench.report.leaderboard import LeaderboardSettings
from rmtl_bench.statistics import split_method

MOST = 8
"""The most weightings in colour: there are no more colours that stay apart."""

OTHER = Look(MUTED, "-", "o")
"""The look of every other method."""


@dataclass(frozen=True)
class Highlights:
    """The looks of the weightings that are named, the declared reference's first, and whether there are others."""

    looks: Mapping[str, Look]
    references: tuple[str, ...]
    others: bool

    def of(self, weighting: str) -> Look:
        """Return the look of a weighting."""
        return self.looks.get(weighting, OTHER)

    def named(self, weighting: str) -> bool:
        """Say whether a weighting is one of those in colour."""
        return weighting in self.looks


def find_highlights(settings: LeaderboardSettings, methods: Iterable[str]) -> Highlights:
    """Return the highlights of a suite: weightings that the declared patterns name, and all where they are few.

    A pattern whose weighting is a lone ``*`` names nobody.
    """
    weightings = list(dict.fromkeys(split_method(method)[1] for method in methods))
    families = (*([settings.reference] if settings.reference else []), *settings.families)
    patterns = [pattern for family in families for pattern in (*family.references, *family.candidates)]
    named = [w for pattern in patterns for w in weightings if _names(pattern, w)]
    references = settings.reference.references if settings.reference else ()
    of_reference = tuple(w for w in weightings if any(_names(pattern, w) for pattern in references))
    chosen = list(dict.fromkeys([*named, *(weightings if len(weightings) <= MOST else [])]))[:MOST]
    looks = {weighting: look(number) for number, weighting in enumerate(chosen)}
    return Highlights(looks, of_reference, len(looks) < len(weightings))


def _names(pattern: str, weighting: str) -> bool:
    wanted = split_method(pattern)[1]
    return wanted.strip("*") != "" and fnmatchcase(weighting, wanted)
