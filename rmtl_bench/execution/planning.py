"""A plan as it is kept in the store."""

from __future__ import annotations

from rmtl_bench.store import PlannedCell, StoredPlan
from rmtl_bench.suites import Plan


def stored_plan(plan: Plan) -> StoredPlan:
    """Return what a table needs to know of a plan: its cells, and what the suite declared about them."""
    suite = plan.suite
    return StoredPlan(
        suite=suite.name,
        version=suite.version,
        digest=suite.digest,
        sample=suite.sample,
        title=suite.title,
        notes=suite.notes,
        metrics=suite.metrics,
        statistics=suite.statistics,
        cells=tuple(
            PlannedCell(cell.run_id, cell.dataset.label, cell.backbone.label, cell.weighting.label, cell.seed)
            for cell in plan.cells
        ),
        skipped=tuple({"label": skipped.label, "reason": skipped.reason} for skipped in plan.skipped),
    )
