"""Read a store of results without a notebook: scores, leaderboard, one comparison, the report.

python docs/read_results.py results/store paper+sample ple/rmtl ple/rmtl-cw report.html
"""

from __future__ import annotations

import sys

import rmtl_bench
from rmtl_bench.statistics import mean_interval


def main(store: str, suite: str, method: str, reference: str, report: str) -> None:
    """Print what a store holds of a suite, and write its report."""
    results = rmtl_bench.open(store)
    print("suites in this store:", ", ".join(results.suites))

    # Raw scores: a row a run, task and metric.
    scores = results.scores(suite)
    mine = scores[(scores["method"] == method) & (scores["metric"] == "auc")]
    for (dataset, task), cell in mine.groupby(["dataset", "task"]):
        auc = mean_interval(cell["value"])
        print(f"{method} on {dataset}, {task}: AUC {auc.mean:.4f} [{auc.low:.4f}, {auc.high:.4f}], {auc.n} seeds")

    # The leaderboard's frames: rows, comparisons, counts, missing, incomplete, costs.
    board = results.leaderboard(suite)
    print(board.rows.groupby("metric")["verdict"].value_counts().to_string())

    # One pair in every cell; differences are method - reference.
    pair = results.compare(method, reference, suite)
    columns = ["dataset", "task", "metric", "n", "difference", "low", "high", "p_holm", "verdict"]
    print(pair.rows[columns].to_string(index=False))

    print("the report:", results.report(report, suite))


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
