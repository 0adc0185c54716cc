"""Fingerprints for a look at a plan that may lack data: what is missing is noted, and the plan made all the same."""

from __future__ import annotations

from collections.abc import Callable

from rmtl_bench.contracts.cell import Component
from rmtl_bench.contracts.errors import DataError

UNKNOWN = "raw-files-missing"
"""What stands for the fingerprint of data that are not there; no run has it."""


class LenientFingerprints:
    """A fingerprint of every data set: its own, or :data:`UNKNOWN`.

    ``missing``: what is said of the data sets whose raw files are not there, by their names in the suite. Cells on them
    can be counted, and compared with cells on the same data set; their run ids are nobody's.
    """

    def __init__(self, fingerprint: Callable[[Component], str]) -> None:
        self._fingerprint = fingerprint
        self.missing: dict[str, str] = {}

    def __call__(self, component: Component) -> str:
        """Return the fingerprint of a data set."""
        try:
            return self._fingerprint(component)
        except DataError as error:
            self.missing[component.label] = str(error)
            return UNKNOWN
