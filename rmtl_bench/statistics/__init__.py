"""Numbers in, numbers out: intervals, paired tests, verdicts, ranks. Works on any table of scores."""

from __future__ import annotations

from rmtl_bench.statistics.aggregates import Incomplete, mean_ranks, verdict_counts, winrate
from rmtl_bench.statistics.bayesian import SignedRank, signed_rank_probabilities
from rmtl_bench.statistics.claims import CLAIM_COLUMNS, claims
from rmtl_bench.statistics.completeness import cell_counts, incomplete_cells, missing_runs
from rmtl_bench.statistics.delta_m import delta_m
from rmtl_bench.statistics.exploratory import EXPLORATORY_COLUMNS, exploratory_pairs
from rmtl_bench.statistics.families import COMPARISON_COLUMNS, Family, run_families, run_pairs, split_method
from rmtl_bench.statistics.frames import CELL, SCORE_COLUMNS, check_scores
from rmtl_bench.statistics.friedman import Friedman, friedman
from rmtl_bench.statistics.improvement import iqm, probability_of_improvement
from rmtl_bench.statistics.intervals import Interval, mean_interval, summarise
from rmtl_bench.statistics.multiplicity import holm, holm_within
from rmtl_bench.statistics.paired import Paired, compare, detectable_effect, paired_table
from rmtl_bench.statistics.paper_stars import STAR_COLUMNS, paper_stars
from rmtl_bench.statistics.power import POWER_COLUMNS, power_table, reachable_seeds, seeds_needed
from rmtl_bench.statistics.protocols import DEFAULT_PROTOCOL, PROTOCOLS, Protocol, find_protocol
from rmtl_bench.statistics.ranks import rank_methods
from rmtl_bench.statistics.sessions import (
    BOOTSTRAP_METRICS,
    MetricDraws,
    SessionInterval,
    SessionVariance,
    bootstrap_metric,
    cluster_draws,
    metric_draws,
    paired_bootstrap,
    paired_variance,
)
from rmtl_bench.statistics.sign_flip import sign_flip_p
from rmtl_bench.statistics.verdicts import VERDICTS, Region, judge, verdict

__all__ = [
    "BOOTSTRAP_METRICS",
    "CELL",
    "CLAIM_COLUMNS",
    "COMPARISON_COLUMNS",
    "DEFAULT_PROTOCOL",
    "EXPLORATORY_COLUMNS",
    "POWER_COLUMNS",
    "PROTOCOLS",
    "SCORE_COLUMNS",
    "STAR_COLUMNS",
    "VERDICTS",
    "Family",
    "Friedman",
    "Incomplete",
    "Interval",
    "MetricDraws",
    "Paired",
    "Protocol",
    "Region",
    "SessionInterval",
    "SessionVariance",
    "SignedRank",
    "bootstrap_metric",
    "cell_counts",
    "check_scores",
    "claims",
    "cluster_draws",
    "compare",
    "delta_m",
    "detectable_effect",
    "exploratory_pairs",
    "find_protocol",
    "friedman",
    "holm",
    "holm_within",
    "incomplete_cells",
    "iqm",
    "judge",
    "mean_interval",
    "mean_ranks",
    "metric_draws",
    "missing_runs",
    "paired_bootstrap",
    "paired_table",
    "paired_variance",
    "paper_stars",
    "power_table",
    "probability_of_improvement",
    "rank_methods",
    "reachable_seeds",
    "run_families",
    "run_pairs",
    "seeds_needed",
    "sign_flip_p",
    "signed_rank_probabilities",
    "split_method",
    "summarise",
    "verdict",
    "verdict_counts",
    "winrate",
]
