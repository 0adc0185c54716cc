"""The reference band: scores on data whose true probabilities are known lie between the base rate and the optimum.

There, a run says of a metric how far it is from the optimum (``<metric>-gap``). Together with what always predicting
the base rate would score, that bounds the mean over the seeds: a score better than the optimum says that labels leaked
into the predictions, or that the data are others; one worse than the base rate, that something is broken. Up to
:data:`NOISE` of the way from the base rate to the optimum is taken for noise of a finite test split, on both sides.

Metrics with a known score of the base rate are AUC (one half) and logloss (the entropy of the labels, which is logloss
divided by normalised entropy, so that the suite has to report both).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping

from rmtl_bench.submissions.form import Score, ScoredCell

NOISE = 0.1
"""How far beyond the optimum or the base rate a mean may lie, as a share of the distance between the two."""

_GAP = "-gap"


def controls(cells: Iterable[ScoredCell]) -> dict[str, tuple[str, ...]]:
    """Return, by data set, the metrics that are held against the optimum; nothing for a data set without any."""
    found: dict[str, set[str]] = {}
    for cell in cells:
        for _, metric, *_ in _bounds(cell):
            found.setdefault(cell.cell.dataset.label, set()).add(metric)
    return {dataset: tuple(sorted(metrics)) for dataset, metrics in sorted(found.items())}


def band_faults(cell: ScoredCell) -> Iterator[str]:
    """Yield what of a cell's scores lies outside the band, one line each."""
    for task, metric, mean, optimum, base in _bounds(cell):
        sign = 1.0 if optimum > base else -1.0
        allowed = NOISE * abs(optimum - base)
        head = f"{cell.label}, {task}, {metric}: the mean {mean:.5f}"
        if sign * (mean - optimum) > allowed:
            yield f"{head} is better than the optimum {optimum:.5f} by more than noise ({allowed:.5f}): a leak?"
        if sign * (base - mean) > allowed:
            yield f"{head} is worse than predicting the base rate, {base:.5f}, by more than noise ({allowed:.5f})"


def _bounds(cell: ScoredCell) -> Iterator[tuple[str, str, float, float, float]]:
    """Yield task, metric, mean, optimum and base rate's score."""
    tasks: dict[str, dict[str, Score]] = {}
    for score in cell.scores:
        tasks.setdefault(score.task, {})[score.metric] = score
    for task, scores in tasks.items():
        for metric in ("auc", "logloss"):
            reached, gap = scores.get(metric), scores.get(metric + _GAP)
            base = _base_rate(metric, scores)
            if reached is None or gap is None or reached.mean is None or gap.mean is None or base is None:
                continue
            sign = 1.0 if reached.higher_is_better else -1.0
            optimum = reached.mean + sign * gap.mean
            # Where even the optimum is no better, the labels are noise and there is no band.
            if sign * (optimum - base) > 0:
                yield task, metric, reached.mean, optimum, base


def _base_rate(metric: str, scores: Mapping[str, Score]) -> float | None:
    if metric == "auc":
        return 0.5
    logloss, relative = scores.get("logloss"), scores.get("normalised-entropy")
    if logloss is None or relative is None:
        return None
    pairs = zip(logloss.values, relative.values, strict=True)
    entropies = [loss / share for loss, share in pairs if loss is not None and share]
    return statistics.fmean(entropies) if entropies else None
