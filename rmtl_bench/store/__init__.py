"""The result store: run folders, which are the truth, and a DuckDB index made from them."""

from __future__ import annotations

from rmtl_bench.store.store import Store

__all__ = ["Store"]
