"""What the critics learnt and what weights they gave, on held-out rows.

===============================  =================================================================================
td-error                         mean squared TD error under the actor's own actions
return-error                     mean squared distance of Q from the exact return of the logged session
return-correlation               Pearson's correlation of the two
expected-return-correlation      the same with labels replaced by their true probabilities (simulated data only):
                                 what Q could know, without the noise of the labels
best-action-rank-correlation     Spearman's correlation of argmax_a Q(s, a) over a grid of logits with the true
                                 probability, which is the best action (simulated data only)
critics-converged                1 if the critics' stage ended by convergence, 0 if by its limit of epochs
weight-mean, -q05, -q50, -q95    of omega, over all rows and by position in the session, the last position being "9
                                 and later"
===============================  =================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmtl_bench.contracts import Diagnostic, SplitRows
from rmtl_bench_rmtl.critic_stage import ActedRows, correlations
from rmtl_bench_rmtl.critics import Critics
from rmtl_bench_rmtl.sessions import discounted_returns, positions_in_session, rewards

LAST_POSITION = 9
GRID = torch.linspace(-7.0, 3.0, 101)
"""Logits among which the best action is looked for: probabilities from .0009 to .95."""
_QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
_GRID_ROWS = 20_000
_QUANTILE_ROWS = 1_000_000


def weight_diagnostics(tasks: Sequence[str], weights: Tensor, session_end: Tensor) -> Iterator[Diagnostic]:
    """Yield mean and quantiles of weights [N, K], over all rows and by position in the session."""
    position = positions_in_session(session_end).clamp(max=LAST_POSITION)
    yield from _spread(tasks, weights, -1)
    for place in range(int(position.max()) + 1):
        yield from _spread(tasks, weights[position == place], place)


def _spread(tasks: Sequence[str], weights: Tensor, position: int) -> Iterator[Diagnostic]:
    means = weights.double().mean(0).tolist()
    some = weights[:: 1 + len(weights) // _QUANTILE_ROWS].double()
    levels = torch.tensor(list(_QUANTILES.values()), dtype=torch.float64, device=weights.device)
    quantiles = torch.quantile(some, levels, dim=0).tolist()
    for k, task in enumerate(tasks):
        yield Diagnostic(task, "weight-mean", means[k], position)
        for name, values in zip(_QUANTILES, quantiles, strict=True):
            yield Diagnostic(task, f"weight-{name}", values[k], position)


@torch.no_grad()
def critic_diagnostics(
    critics: Critics, rows: SplitRows, actor: Tensor, tasks: Sequence[str], discount: float, batch_size: int
) -> Iterator[Diagnostic]:
    """Yield how close Q is to the exact returns of the actor, whose logits on ``rows`` are ``actor`` [N, K]."""
    critics.eval()
    split = ActedRows(rows, actor, tasks)
    values = torch.cat([critics(batch, actor[batch.rows]) for batch in rows.batches(batch_size)])
    returns, exact = split.returns(discount)
    goes_on = split.transitions.goes_on.unsqueeze(1)
    reward = rewards(actor, rows.labels)
    target = reward + discount * goes_on * values[split.transitions.following]
    td_error = _mean((target - values).square(), split.known)
    columns = {
        "td-error": td_error,
        "return-error": _mean((returns - values).square(), exact),
        "return-correlation": correlations(values, returns, exact),
    }
    if rows.optimum is not None:
        expected, ended = discounted_returns(rewards(actor, rows.optimum), rows.session_end, discount)
        columns["expected-return-correlation"] = correlations(values, expected, ended.unsqueeze(1).expand_as(values))
        columns["best-action-rank-correlation"] = _best_action_correlation(critics, rows, rows.optimum, batch_size)
    for quantity, by_task in columns.items():
        for task, value in zip(tasks, by_task, strict=True):
            yield Diagnostic(task, quantity, value)


def best_actions(critics: Critics, rows: SplitRows, positions: Tensor) -> Tensor:
    """Return argmax over :data:`GRID` of Q_k(s, .), as logits [B, K], for the rows at ``positions`` [B]."""
    batch = rows.batch(positions)
    states = critics.states(batch)
    grid = GRID.to(batch.labels.device)
    values = torch.stack([critics.all_values(states, logit.expand_as(batch.labels))[0] for logit in grid])
    return grid[values.argmax(0)]


def _best_action_correlation(critics: Critics, rows: SplitRows, optimum: Tensor, batch_size: int) -> list[float]:
    some = torch.arange(0, len(rows), 1 + len(rows) // _GRID_ROWS, device=optimum.device)
    best = torch.cat([best_actions(critics, rows, positions) for positions in some.split(batch_size)]).cpu()
    truth = optimum[some].cpu()
    # Where either is the same everywhere, no rank means anything.
    return [
        rank_correlation(best[:, k].numpy(), truth[:, k].numpy())
        if _varies(best[:, k]) and _varies(truth[:, k])
        else math.nan
        for k in range(best.shape[1])
    ]


def rank_correlation(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return Spearman's correlation of two arrays [N], neither of which is the same everywhere.

    By hand, since importing scipy.stats would take as long as a small run.
    """
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return ranks from 1, equal values sharing their mean one."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]


def _varies(values: Tensor) -> bool:
    return bool((values != values[0]).any())


def _mean(values: Tensor, known: Tensor) -> list[float]:
    mean: list[float] = ((values * known).sum(0) / known.sum(0).clamp(min=1)).tolist()
    return [value if count else float("nan") for value, count in zip(mean, known.sum(0).tolist(), strict=True)]
