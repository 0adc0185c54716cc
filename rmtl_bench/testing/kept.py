"""What the checks of one subject share, because it takes its time: made once, and kept for a while."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Generic, TypeVar

from rmtl_bench.testing.subjects import Subject

Made = TypeVar("Made")

_MOST = 2
"""Subjects for which something is kept: the checks of one follow one another, or take turns with those of another."""


class KeptBySubject(Generic[Made]):
    """What a function makes of a subject, kept for the last few subjects.

    Two subjects are the same where offer, parameters, plugin files and the folder of raw files are.
    """

    def __init__(self, make: Callable[[Subject], Made]) -> None:
        self._make = make
        self._kept: dict[tuple[str, ...], Made] = {}

    def __call__(self, subject: Subject) -> Made:
        """Return what is made of a subject, making it if it is not kept; nothing is kept where that raises."""
        key = _key(subject)
        if key not in self._kept:
            made = self._make(subject)
            while len(self._kept) >= _MOST:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = made
        return self._kept[key]


def _key(subject: Subject) -> tuple[str, ...]:
    return (
        str(subject.entry.origin),
        subject.kind,
        subject.info.name,
        subject.info.target,
        json.dumps(dict(subject.parameters), sort_keys=True),
        str(subject.data_dir),
        *map(str, subject.host.files),
    )
