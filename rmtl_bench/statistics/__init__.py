"""Numbers in, numbers out: intervals, paired tests, verdicts, ranks. Works on any table of scores."""

from __future__ import annotations

from rmtl_bench.statistics.completeness import cell_counts, incomplete_cells, missing_runs
from rmtl_bench.statistics.delta_m import delta_m
from rmtl_bench.statistics.families import COMPARISON_COLUMNS, Family, run_families, run_pairs, split_method
from rmtl_bench.statistics.frames import CELL, SCORE_COLUMNS, check_scores
from rmtl_bench.statistics.intervals import Interval, mean_interval, summarise
from rmtl_bench.statistics.multiplicity import holm, holm_within
from rmtl_bench.statistics.paired import Paired, compare, detectable_effect, paired_table
from rmtl_bench.statistics.ranks import rank_methods
from rmtl_bench.statistics.verdicts import VERDICTS, Region, judge, verdict

__all__ = [
    "CELL",
    "COMPARISON_COLUMNS",
    "SCORE_COLUMNS",
    "VERDICTS",
    "Family",
    "Interval",
    "Paired",
    "Region",
    "cell_counts",
    "check_scores",
    "compare",
    "delta_m",
    "detectable_effect",
    "holm",
    "holm_within",
    "incomplete_cells",
    "judge",
    "mean_interval",
    "missing_runs",
    "paired_table",
    "rank_methods",
    "run_families",
    "run_pairs",
    "split_method",
    "summarise",
    "verdict",
]
