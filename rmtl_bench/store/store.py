"""A store: its folders, its index and the plans of its suites in one place."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.cell import Cell, Outcome
from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store.index import Index
from rmtl_bench.store.layout import Layout
from rmtl_bench.store.plans import Plan, load_plan, plan_names, save_plan
from rmtl_bench.store.run_files import RunRecord, iso_time, read_run, write_run


class Store(Layout):
    """A folder of results. Open it with :meth:`~rmtl_bench.store.layout.Layout.open`.

    ::

        store = Store.open("results/store")
        staging = store.staging_folder(cell.run_id)
        ...                                   # write_table, write_predictions, write_run
        store.publish(staging, cell.run_id)
        store.index.refresh()
        store.index.scores([cell.run_id])
    """

    @property
    def index(self) -> Index:
        """The index; it holds nothing open."""
        return Index(self)

    def publish_run(self, staging: Path, cell: Cell, started: float, obituary: str) -> Outcome:
        """Publish what the process of a run has left, and return how the run ended.

        A process that left no ``run.json`` was killed: the record written for it says so, with ``obituary`` as
        its error. ``started``: seconds since 1970.
        """
        try:
            record = read_run(staging)
        except StoreError:
            now = time.time()
            record = RunRecord(
                run_id=cell.run_id,
                cell=cell,
                status="killed",
                started=iso_time(started),
                finished=iso_time(now),
                seconds={"total": now - started},
                error=obituary,
            )
            write_run(staging, record)
        self.publish(staging, cell.run_id)
        return Outcome(cell.run_id, record.status, record.total_seconds, record.error)

    def save_plan(self, plan: Plan | Mapping[str, Any]) -> Path:
        """Keep a plan, given as one or as a mapping. See :func:`~rmtl_bench.store.plans.save_plan`."""
        return save_plan(self, plan if isinstance(plan, Plan) else Plan.from_json(plan))

    def load_plan(self, suite: str, version: int | None = None, sample: bool = False) -> Plan:
        """Return a kept plan. See :func:`~rmtl_bench.store.plans.load_plan`."""
        return load_plan(self, suite, version, sample)

    def plan_names(self) -> list[str]:
        """Return the names of the kept plans, in order."""
        return plan_names(self)
