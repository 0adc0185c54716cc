"""Expansion of the paper suite: 360 cells."""

from __future__ import annotations

from rmtl_bench.suites import expand, find_suite, read_suite


def test_expansion_of_the_paper_suite(benchmark, registry):
    benchmark.group = "plan"
    suite = read_suite(find_suite(registry, "paper"))
    plan = benchmark(lambda: expand(suite, registry, lambda component: "0" * 16))
    assert len({cell.run_id for cell in plan.cells}) == 360
