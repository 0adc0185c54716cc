"""A store from Python: what :func:`rmtl_bench.open` returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report.comparison import PairComparison, compare_pair
from rmtl_bench.report.formats import render
from rmtl_bench.report.layout import leaderboard_document
from rmtl_bench.report.leaderboard import Leaderboard, build_leaderboard
from rmtl_bench.report.stored_suite import StoredSuite, read_stored_suite
from rmtl_bench.statistics import DEFAULT_PROTOCOL
from rmtl_bench.store import Index, Store, plan_names


@dataclass(frozen=True)
class ShownLeaderboard(Leaderboard):
    """A leaderboard that a notebook shows as tables."""

    def _repr_html_(self) -> str:
        return render(leaderboard_document(self), "html")


class Results:
    """The results in a store, read only but for its index.

    Suites are named as ``rmtl-bench`` takes them, with ``+sample`` behind the name of a sample; a store in which one
    suite was run needs no name. Every method raises :class:`UsageError` for a name that there is not.
    """

    def __init__(self, store: str | Path) -> None:
        self._store = Store.open(store, create=False)

    def __repr__(self) -> str:
        return f"rmtl_bench.open({str(self._store.path)!r})"

    @property
    def suites(self) -> list[str]:
        """The suites that were run here, such as ``paper@1`` and ``paper@1+sample``."""
        return plan_names(self._store)

    def scores(self, suite: str | None = None) -> pd.DataFrame:
        """Return a row a run, task and metric of a suite, named as the suite names them; of the whole store if None.

        Columns: ``dataset``, ``backbone``, ``weighting``, ``method``, ``task``, ``metric``, ``seed``, ``value`` and
        ``fingerprint`` of the data; of the whole store ``run_id`` and ``higher_is_better``, too. A frame of the whole
        store may mix suites and data: :mod:`rmtl_bench.statistics` refuses one that mixes fingerprints.
        """
        if suite is not None:
            return self._suite(suite).scores
        index = Index(self._store)
        index.refresh()
        found = pd.DataFrame(index.scores())
        method = found["backbone"] + "/" + found["weighting"]
        return found.assign(method=method, fingerprint=found["run_id"].map(index.fingerprints()))

    def leaderboard(
        self, suite: str | None = None, *, protocol: str = DEFAULT_PROTOCOL, against: str | None = None
    ) -> ShownLeaderboard:
        """Return the leaderboard of a suite; its frames are ``rows``, ``comparisons``, ``counts`` and so on.

        ``protocol`` and ``against`` as :meth:`StoredSuite.settings` takes them.
        """
        stored = self._suite(suite)
        settings = stored.settings(protocol=protocol, against=against)
        return ShownLeaderboard(**vars(build_leaderboard(stored.scores, stored.expected, settings, stored.costs)))

    def compare(
        self,
        a: str,
        b: str,
        suite: str | None = None,
        *,
        protocol: str = DEFAULT_PROTOCOL,
        only_shared: bool = False,
    ) -> PairComparison:
        """Compare method ``a`` with method ``b``, each ``backbone/weighting``; the frame is ``rows``."""
        stored = self._suite(suite)
        return compare_pair(
            stored.scores,
            a,
            b,
            stored.higher_is_better,
            stored.equivalence,
            protocol=protocol,
            only_shared=only_shared,
        )

    def report(self, output: str | Path, suite: str | None = None, *, metrics: Sequence[str] = ()) -> Path:
        """Write the report of a suite as one HTML file and return its path; ``metrics`` as ``--metric`` takes them."""
        from rmtl_bench.report.page import write_report

        return write_report(self._store, self._named(suite), Path(output), metrics=metrics).path

    def _named(self, suite: str | None) -> str:
        if suite is not None:
            return suite
        if len(self.suites) != 1:
            held = ", ".join(self.suites) or "none"
            raise UsageError(f"{self._store.path} holds {len(self.suites)} suites ({held}); name one")
        return self.suites[0]

    def _suite(self, suite: str | None) -> StoredSuite:
        return read_stored_suite(self._store, self._named(suite)).require_scores(self._store)
