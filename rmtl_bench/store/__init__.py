"""The result store: run folders, which are the truth, and a DuckDB index made from them."""

from __future__ import annotations

from rmtl_bench.store.index import Index, Refreshed
from rmtl_bench.store.layout import RunFolder, Store
from rmtl_bench.store.plans import PlannedCell, StoredPlan, all_plans, load_plan, plan_names, save_plan
from rmtl_bench.store.queries import Attempt, Cost, OtherData

__all__ = [
    "Attempt",
    "Cost",
    "Index",
    "OtherData",
    "PlannedCell",
    "Refreshed",
    "RunFolder",
    "Store",
    "StoredPlan",
    "all_plans",
    "load_plan",
    "plan_names",
    "save_plan",
]
