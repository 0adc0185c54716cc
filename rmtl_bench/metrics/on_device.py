"""The metrics of all tasks, and of several seeds at once, over tensors on any device.

They equal those of :mod:`rmtl_bench.metrics.ranking` and :mod:`rmtl_bench.metrics.probability`, by sorting and
cumulative sums alone: no size depends on the data, so nothing waits for the device before the result is read.
On a CPU numpy's sort is the faster one by far; these are for an accelerator.

Everywhere ``labels`` [N, K] of 0 and 1 in any type; ``scores`` [N, K], or [S, N, K] for the same rows as S seeds
score them; ``known`` bool [N, K], True where a label is known, or ``None`` when all are; ``user`` and ``session``
int [N] in any order; all on one device. Rows of unknown label count nowhere, whatever their score. The result
is float64 [K] or [S, K], NaN where the metric is undefined. Ranks and pairs are counted in int64 and exact for
N below 2^31.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rmtl_bench.metrics.probability import CLIP

SCORES_AT_ONCE = 2**24
"""More scores than these are ranked seed by seed, which bounds the memory that it takes."""


def auc(labels: Tensor, scores: Tensor, known: Tensor | None = None) -> Tensor:
    """Return the AUC of every task, ties counting half; NaN where a class is absent or a known row's score is NaN."""
    if scores.dim() == 3 and scores.numel() > SCORES_AT_ONCE:
        return torch.stack([auc(labels, of_seed, known) for of_seed in scores])
    ranked, order = scores.mT.sort(dim=-1)
    counts = _counts(labels, known, order)
    doubled = _doubled_statistic(counts, _changes(ranked)).sum(-1)
    area = _ratio(doubled, 2 * counts.positive.sum(-1) * counts.negative.sum(-1))
    return _unless_nan(area, scores, known)


def gauc(labels: Tensor, scores: Tensor, user: Tensor, known: Tensor | None = None) -> Tensor:
    """Return the AUC within each user, averaged with the users' known rows as weights, of every task.

    Users of one class are left out, weight and all; NaN where no user is left or a known row's score is NaN.
    """
    if scores.dim() == 3 and scores.numel() > SCORES_AT_ONCE:
        return torch.stack([gauc(labels, of_seed, user, known) for of_seed in scores])
    by_score = scores.mT.argsort(dim=-1)
    grouped, by_user = user[by_score].sort(dim=-1, stable=True)
    order = by_score.gather(-1, by_user)
    counts, new_user = _counts(labels, known, order), _changes(grouped)
    new_tie = new_user | _changes(scores.mT.gather(-1, order))
    # What a user holds stands in the user's last row: the sum so far less that before the user's first row.
    positives, negatives = (_sum_within(one, new_user) for one in (counts.positive, counts.negative))
    before = _at_start(_earlier(counts.negative), new_user)
    statistic = _doubled_statistic(counts, new_tie) - (2 * before).masked_fill(~counts.positive, 0)
    area = _ratio(_sum_within(statistic, new_user), 2 * positives * negatives)
    counted = _lasts(new_user) & (positives * negatives > 0)
    rows = (positives + negatives).masked_fill(~counted, 0)
    mean = (area * rows).masked_fill(~counted, 0.0).sum(-1) / rows.sum(-1)
    return _unless_nan(mean, scores, known)


def logloss(labels: Tensor, scores: Tensor, known: Tensor | None = None) -> Tensor:
    """Return the mean negative log-likelihood of every task in nats; NaN without a known row."""
    return _losses(labels, scores, known).sum(-1) / _known_rows(labels, known).sum(-1)


def session_logloss(labels: Tensor, scores: Tensor, session: Tensor, known: Tensor | None = None) -> Tensor:
    """Return the mean over sessions of the session's mean logloss, of every task in nats; NaN without a known row.

    Sums of floating-point numbers by session: on CUDA their last bits vary from call to call, unless
    ``torch.use_deterministic_algorithms`` is on.
    """
    grouped, order = session.sort()
    place = torch.empty_like(order).scatter_(0, order, _changes(grouped).cumsum(0) - 1)
    losses, rows = _losses(labels, scores, known), _known_rows(labels, known)
    sums = torch.zeros_like(losses).index_add_(-1, place, losses)
    rows_of_session = torch.zeros_like(rows).index_add_(-1, place, rows)
    means = (sums / rows_of_session).masked_fill(rows_of_session == 0, 0.0)
    return means.sum(-1) / (rows_of_session > 0).sum(-1)


class _Counts(NamedTuple):
    """Which of the rows, in their order, are known and positive or negative: bool [..., K, N]."""

    positive: Tensor
    negative: Tensor


def _counts(labels: Tensor, known: Tensor | None, order: Tensor) -> _Counts:
    positive = (labels > 0.5).mT.expand(order.shape).gather(-1, order)
    if known is None:
        return _Counts(positive, ~positive)
    counted = known.mT.expand(order.shape).gather(-1, order)
    return _Counts(positive & counted, ~positive & counted)


def _doubled_statistic(counts: _Counts, new_tie: Tensor) -> Tensor:
    """Return each row's part of twice the Mann-Whitney statistic, int64 [..., K, N].

    A positive adds 2 for every negative of a lower score. Each pair of a tie adds 1, which the later of its two
    rows holds.
    """
    positives, negatives = _earlier(counts.positive), _earlier(counts.negative)
    for_positive = negatives + _at_start(negatives, new_tie)
    for_negative = positives - _at_start(positives, new_tie)
    return torch.where(counts.positive, for_positive, for_negative.masked_fill(~counts.negative, 0))


def _changes(values: Tensor) -> Tensor:
    """Return True where a value differs from the one before it in the last dimension; the first always does."""
    changed = torch.ones_like(values, dtype=torch.bool)
    changed[..., 1:] = values[..., 1:] != values[..., :-1]
    return changed


def _lasts(new: Tensor) -> Tensor:
    """Return True for the last row of each run, whose first is True in ``new``."""
    last = torch.ones_like(new)
    last[..., :-1] = new[..., 1:]
    return last


def _earlier(values: Tensor) -> Tensor:
    """Return the int64 sum of the values before each row."""
    return values.cumsum(-1) - values.long()


def _at_start(sums: Tensor, new: Tensor) -> Tensor:
    """Return what ``sums``, never less than 0 and never falling, is in the first row of each row's run."""
    return sums.masked_fill(~new, 0).cummax(-1).values


def _sum_within(values: Tensor, new: Tensor) -> Tensor:
    """Return the int64 sum of the values of a row's run up to and with the row; no value may be less than 0."""
    earlier = _earlier(values)
    return earlier + values - _at_start(earlier, new)


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    return numerator.double() / denominator.double()


def _unless_nan(value: Tensor, scores: Tensor, known: Tensor | None) -> Tensor:
    undefined = scores.isnan() if known is None else scores.isnan() & known
    return value.masked_fill(undefined.any(-2), float("nan"))


def _known_rows(labels: Tensor, known: Tensor | None) -> Tensor:
    """Return 1 where a label is known and 0 elsewhere, int64 [K, N]."""
    return torch.ones_like(labels.mT, dtype=torch.int64) if known is None else known.mT.long()


def _losses(labels: Tensor, scores: Tensor, known: Tensor | None) -> Tensor:
    """Return the loss of every row, float64 [..., K, N]; 0 where the label is unknown."""
    probability = scores.mT.double().clamp(CLIP, 1 - CLIP)
    losses = -torch.where(labels.mT > 0.5, probability, 1 - probability).log()
    return losses if known is None else losses.masked_fill(~known.mT, 0.0)
